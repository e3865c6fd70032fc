// What wrong calls report: the code, the text, and that nothing else happens.
#include "check.h"
#include <pthread.h>

// The last call ended with this code and these words, in the status and for the thread.
static void reported(int line, const TF_Status *status, TF_Code code, const char *words) {
    const char *text = tf_get_status_message(status);
    check_at(line, tf_get_status_code(status) == code, "code %d, not %d: %s", tf_get_status_code(status), code, text);
    check_at(line, strstr(text, words) != NULL, "'%s' does not say '%s'", text, words);
    check_at(line, tf_last_error_code() == code && strcmp(tf_last_error(), text) == 0, "another last error");
}
#define REPORTED(code, words) reported(__LINE__, status, code, words)

// `call` has no result and reports this.
#define FAILS(call, code, words) \
    do { \
        check_at(__LINE__, !(call), "%s worked", #call); \
        REPORTED(code, words); \
    } while (0)

static TF_Tensor *slot[4];
static size_t n;

static bool op(const char *name, const TF_Value *args, size_t n_args, TF_Status *status) {
    n = COUNT(slot);
    return tf_op(name, args, n_args, slot, &n, status);
}
#define OP(name, ...) op(name, (TF_Value[]){__VA_ARGS__}, COUNT(((TF_Value[]){__VA_ARGS__})), status)

static void tensors(TF_Status *status) {
    size_t shape[] = {2, 3}, huge[] = {SIZE_MAX, 1}, dims[2];
    TF_Tensor *a = tf_zeros(shape, 2, TF_FLOAT32), *b = tf_zeros(shape, 2, TF_FLOAT32);
    FAILS(tf_matmul(a, b, status), TF_SHAPE_ERROR, "[2, 3] x [2, 3]");
    CHECK(tf_ndim(a, status) == 2 && tf_get_status_code(status) == TF_OK);
    CHECK(tf_last_error_code() == TF_SHAPE_ERROR); // until it is forgotten
    tf_clear_last_error();
    CHECK(tf_last_error_code() == TF_OK && strcmp(tf_last_error(), "") == 0);

    FAILS(tf_add(NULL, b, status), TF_NULL_POINTER, "tf_add: 'a' is NULL");
    FAILS(tf_zeros(NULL, 2, TF_FLOAT32, status), TF_NULL_POINTER, "'shape' is NULL");
    FAILS(tf_zeros(shape, 2, (TF_DataType)99, status), TF_ARGUMENT_ERROR, "99 is no TF_DataType");
    FAILS(tf_zeros(shape, 2, TF_INVALID_DTYPE, status), TF_ARGUMENT_ERROR, "-1 is no TF_DataType");
    FAILS(tf_zeros(shape, 1000000, TF_FLOAT32, status), TF_ARGUMENT_ERROR, "1000000 dimensions");
    FAILS(tf_zeros(huge, 2, TF_FLOAT32, status), TF_ARGUMENT_ERROR, "too large");
    huge[0] /= 4;
    FAILS(tf_zeros(huge, 2, TF_FLOAT32, status), TF_OUT_OF_MEMORY, "out of memory");
    FAILS(tf_tensor_from_data(NULL, 24, shape, 2, TF_FLOAT32, status), TF_NULL_POINTER, "'data' is NULL");
    float data[6] = {0};
    FAILS(tf_tensor_from_data(data, 20, shape, 2, TF_FLOAT32, status),
          TF_ARGUMENT_ERROR, "20 bytes were given, [2, 3] of float32 has 24");
    FAILS(tf_copy_to(a, data, 12, status), TF_ARGUMENT_ERROR, "12 bytes");
    FAILS(tf_copy_to(a, NULL, 24, status), TF_NULL_POINTER, "'buffer' is NULL");
    FAILS(tf_shape(a, dims, 1, status), TF_ARGUMENT_ERROR, "has 2 dimensions");
    FAILS(tf_shape(a, NULL, 2, status), TF_NULL_POINTER, "'dims' is NULL");
    CHECK(tf_ndim(NULL, status) == -1 && tf_numel(NULL, status) == -1 && tf_nbytes(NULL, status) == -1);
    CHECK(tf_dtype(NULL, status) == TF_INVALID_DTYPE);
    REPORTED(TF_NULL_POINTER, "tf_dtype: 'tensor' is NULL");

    // Handles that were freed, or never were any.
    tf_free_tensor(NULL);
    tf_free_tensor(b);
    tf_clear_last_error();
    FAILS(tf_add(a, b, status), TF_INVALID_HANDLE, "'b' is no live TF_Tensor");
    tf_clear_last_error();
    tf_free_tensor(b);
    CHECK(tf_last_error_code() == TF_INVALID_HANDLE);
    CHECK(tf_retain(b) == NULL);
    FAILS(tf_relu((TF_Tensor *)data, status), TF_INVALID_HANDLE, "'tensor' is no live TF_Tensor");
    FAILS(tf_relu((TF_Tensor *)status, status), TF_INVALID_HANDLE, "'tensor' is no live TF_Tensor");
    // Nothing runs with a status that nobody can read.
    CHECK(tf_add(a, a, (TF_Status *)a) == NULL && strstr(tf_last_error(), "'status' is no live TF_Status"));
    CHECK(tf_get_status_code(NULL) == TF_INVALID_HANDLE && strstr(tf_get_status_message(NULL), "'status' is NULL"));
    TF_Status *deleted = tf_new_status();
    tf_delete_status(deleted);
    tf_delete_status(deleted);
    CHECK(tf_last_error_code() == TF_INVALID_HANDLE);
    tf_delete_status(NULL);
    tf_delete_generator(NULL);
    tf_free_tensor(a);
}

static void operations(TF_Status *status) {
    size_t shape[] = {2, 3}, none = 0;
    TF_Tensor *a = tf_ones(shape, 2, TF_FLOAT32), *whole = tf_ones(shape, 2, TF_INT64);
    TF_Value x = tf_value_tensor(a), i = tf_value_tensor(whole), two = tf_value_int(2);
    FAILS(OP("no_such_thing", x), TF_NOT_FOUND, "there is no operation 'no_such_thing'");
    CHECK(n == 0);
    FAILS(op(NULL, &x, 1, status), TF_NULL_POINTER, "'name' is NULL");
    FAILS(op("r\xff", &x, 1, status), TF_ARGUMENT_ERROR, "'name' is not UTF-8");
    FAILS(op("relu", NULL, 1, status), TF_NULL_POINTER, "'args' is NULL");
    FAILS(op("relu", &x, SIZE_MAX, status), TF_ARGUMENT_ERROR, "'args' cannot have");
    FAILS(op("relu", NULL, 0, status), TF_CALL_ERROR, "relu(): missing the argument 'input'");
    FAILS(OP("relu", x, x), TF_CALL_ERROR, "relu(): takes 1 positional argument but 2 were given");
    FAILS(OP("relu", two), TF_CALL_ERROR, "argument 'input' must be a tensor, not an int");
    FAILS(OP("relu", x, tf_named("slope", two)), TF_CALL_ERROR, "unexpected argument 'slope'");
    FAILS(OP("relu", x, tf_named("input", x)), TF_CALL_ERROR, "got two values for the argument 'input'");
    FAILS(OP("relu", x, tf_named("\xff", two)), TF_ARGUMENT_ERROR, "'args[1].name' is not UTF-8");
    FAILS(OP("relu", tf_value_tensor(NULL)), TF_NULL_POINTER, "'args[0]' is NULL");
    FAILS(OP("relu", {.kind = (TF_Kind)77}), TF_ARGUMENT_ERROR, "of kind 77, which is no TF_Kind");
    FAILS(OP("max", x, tf_value_string("rows")),
          TF_CALL_ERROR, "max(): takes 1 positional argument but 2 were given; these are taken: max(input) or ");
    FAILS(OP("sum", x, tf_value_float(1.5)),
          TF_CALL_ERROR, "argument 'dim' must be an int or a list of ints, not a float");
    FAILS(OP("sum", x, tf_value_int(2)), TF_AXIS_ERROR, "dimension 2 is out of range");
    FAILS(OP("select", x, tf_value_int(0), tf_value_int(9)), TF_INDEX_ERROR, "index 9 is out of range");
    FAILS(OP("add", x, tf_value_tensors(NULL, 2)), TF_NULL_POINTER, "'args[1]' is NULL");
    FAILS(OP("view", x, two, tf_value_float(3)), TF_CALL_ERROR, "must be ints");
    FAILS(OP("view", x, two, two), TF_ARGUMENT_ERROR, "view: shape [2, 2] does not hold the 6 elements");
    FAILS(OP("cat", tf_value_tensors((const TF_Tensor *[]){a, NULL}, 2)),
          TF_CALL_ERROR, "must be a list or tuple of tensors");
    FAILS(OP("mm", x, i), TF_DTYPE_ERROR, "float32 and int64");
    FAILS(OP("zeros", two, tf_named("dtype", tf_value_dtype((TF_DataType)-5))),
          TF_ARGUMENT_ERROR, "-5 is no TF_DataType");
    FAILS(OP("zeros", two, tf_named("device", tf_value_string("cuda"))),
          TF_DEVICE_ERROR, "device 'cuda' is not available");
    FAILS(OP("zeros", two, tf_named("device", tf_value_string(NULL))), TF_NULL_POINTER, "'args[1]' is NULL");
    FAILS(OP("rand", two, tf_named("generator", tf_value_generator((TF_Generator *)a))),
          TF_INVALID_HANDLE, "no live TF_Generator");

    // Results that do not fit: before anything is written, and without leaving a number behind.
    n = 1;
    slot[0] = NULL;
    CHECK(!tf_op("max", (TF_Value[]){x, tf_value_int(0)}, 2, slot, &n, status) && n == 0 && slot[0] == NULL);
    REPORTED(TF_ARGUMENT_ERROR, "max: returns 2 tensors, 'results' has place for 1");
    CHECK(!tf_op("add_", (TF_Value[]){x, two}, 2, slot, &none, status) && ((float *)tf_data_ptr(a))[0] == 1);
    n = 2;
    CHECK(!tf_op("unbind", (TF_Value[]){x, tf_value_int(1)}, 2, slot, &n, status) && n == 0 && slot[0] == NULL);
    REPORTED(TF_ARGUMENT_ERROR, "returns 3 tensors");
    FAILS(tf_op("relu", &x, 1, slot, NULL, status), TF_NULL_POINTER, "'n_results' is NULL");

    // What is written in place, or into a tensor.
    FAILS(OP("add_", i, tf_value_float(1.5)), TF_DTYPE_ERROR, "int64");
    FAILS(OP("add_", two, two), TF_CALL_ERROR, "'input' must be a tensor");
    FAILS(OP("add", x, two, tf_named("out", two)), TF_CALL_ERROR, "argument 'out' must be a tensor, not an int");
    FAILS(OP("add_", x, two, tf_named("out", x)), TF_CALL_ERROR, "unexpected argument 'out'");
    FAILS(OP("unbind", x, tf_named("out", x)), TF_CALL_ERROR, "unexpected argument 'out'");

    // What derivatives do not allow.
    FAILS(tf_set_requires_grad(whole, 1, status), TF_GRADIENT_ERROR, "int64");
    FAILS(tf_backward(a, NULL, status), TF_GRADIENT_ERROR, "does not require grad");
    CHECK(tf_set_requires_grad(a, 1, status));
    FAILS(OP("add_", x, two), TF_GRADIENT_ERROR, "a leaf that requires grad is changed in place");
    TF_Tensor *b = tf_mul(a, a);
    FAILS(tf_backward(b, NULL, status), TF_GRADIENT_ERROR, "");
    FAILS(tf_set_requires_grad(b, 0, status), TF_GRADIENT_ERROR, "leaf");
    CHECK(tf_backward(b, a, status));
    FAILS(tf_backward(b, a, status), TF_GRADIENT_ERROR, "");
    tf_free_tensor(a);
    tf_free_tensor(b);
    tf_free_tensor(whole);
}

static void *in_thread(void *shared) {
    CHECK(strcmp(tf_last_error(), "") == 0); // another thread's error is not this one's
    CHECK(tf_is_grad_enabled());
    for (int k = 0; k < 1000; k++) {
        TF_Tensor *t = tf_add(shared, tf_retain(shared));
        tf_free_tensor(shared);
        tf_free_tensor(t);
    }
    CHECK(tf_relu(NULL) == NULL && tf_last_error_code() == TF_NULL_POINTER);
    return NULL;
}

static void threads(void) {
    pthread_t thread;
    size_t two = 2;
    TF_Tensor *shared = tf_ones(&two, 1, TF_FLOAT32);
    tf_set_grad_enabled(0);
    CHECK(tf_zeros(NULL, 1, TF_FLOAT32) == NULL);
    CHECK(pthread_create(&thread, NULL, in_thread, shared) == 0);
    for (int k = 0; k < 1000; k++) tf_free_tensor(tf_mul(shared, shared));
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(strstr(tf_last_error(), "tf_zeros: 'shape' is NULL"));
    FLOATS(shared, 1, 1);
    tf_set_grad_enabled(1);
    tf_free_tensor(shared);
}

int main(void) {
    tf_init();
    TF_Status *status = tf_new_status();
    tensors(status);
    operations(status);
    threads();
    tf_delete_status(status);
    tf_cleanup();
    return summary();
}
