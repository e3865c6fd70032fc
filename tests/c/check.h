// Counts what holds and says what does not.
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <tenflowers.h>

static int passed, failed;

static inline void check_at(int line, int holds, const char *what, ...) {
    if (holds) {
        passed++;
        return;
    }
    failed++;
    va_list args;
    va_start(args, what);
    fprintf(stderr, "line %d: ", line);
    vfprintf(stderr, what, args);
    fprintf(stderr, " (last error: %s)\n", tf_last_error());
    va_end(args);
}

#define CHECK(condition) check_at(__LINE__, !!(condition), "%s", #condition)

// The elements of a tensor, as float32, are these.
static inline void check_floats(int line, const TF_Tensor *tensor, size_t n, const float *expected) {
    float found[64];
    if (n > 64 || tf_dtype(tensor) != TF_FLOAT32 || !tf_copy_to(tensor, found, n * sizeof *found)) {
        check_at(line, 0, "no tensor of %zu float32", n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (fabsf(found[i] - expected[i]) > 1e-5f * fmaxf(1, fabsf(expected[i]))) {
            check_at(line, 0, "element %zu is %g, not %g", i, found[i], expected[i]);
            return;
        }
    }
    check_at(line, 1, "");
}

static inline void check_ints(int line, const TF_Tensor *tensor, size_t n, const int64_t *expected) {
    int64_t found[64];
    if (n > 64 || tf_dtype(tensor) != TF_INT64 || !tf_copy_to(tensor, found, n * sizeof *found)) {
        check_at(line, 0, "no tensor of %zu int64", n);
        return;
    }
    check_at(line, memcmp(found, expected, n * sizeof *found) == 0, "other integers");
}

static inline void check_shape(int line, const TF_Tensor *tensor, size_t n, const size_t *expected) {
    size_t found[8];
    int right = tf_ndim(tensor) == (int64_t)n && tf_shape(tensor, found, 8);
    check_at(line, right && memcmp(found, expected, n * sizeof *found) == 0, "another shape");
}

#define FLOATS(tensor, ...) \
    check_floats(__LINE__, tensor, sizeof((float[]){__VA_ARGS__}) / sizeof(float), (float[]){__VA_ARGS__})
#define INTS(tensor, ...) \
    check_ints(__LINE__, tensor, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})
#define SHAPE(tensor, ...) \
    check_shape(__LINE__, tensor, sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), (size_t[]){__VA_ARGS__})

static inline TF_Tensor *vector(const float *data, size_t n) {
    return tf_tensor_from_data(data, n * sizeof *data, &n, 1, TF_FLOAT32);
}

static inline TF_Tensor *matrix(const float *data, size_t rows, size_t columns) {
    size_t shape[] = {rows, columns};
    return tf_tensor_from_data(data, rows * columns * sizeof *data, shape, 2, TF_FLOAT32);
}

static inline TF_Tensor *integers(const int64_t *data, size_t n) {
    return tf_tensor_from_data(data, n * sizeof *data, &n, 1, TF_INT64);
}

// The only result of an operation.
static inline TF_Tensor *one(const char *name, const TF_Value *args, size_t n_args) {
    TF_Tensor *result = NULL;
    size_t n = 1;
    tf_op(name, args, n_args, &result, &n);
    return result;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ONE(name, ...) one(name, (TF_Value[]){__VA_ARGS__}, COUNT(((TF_Value[]){__VA_ARGS__})))

static inline int summary(void) {
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}

#endif
