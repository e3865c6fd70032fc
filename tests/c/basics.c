// Tensors, operations and derivatives from C, with their values.
#include "check.h"

// As the documentation begins.
static void first_example(void) {
    size_t shape[] = {2, 3};
    TF_Tensor* a = tf_zeros(shape, 2, TF_FLOAT32);
    TF_Tensor* b = tf_ones(shape, 2, TF_FLOAT32);
    TF_Tensor* c = tf_add(a, b);
    float* data = (float*)tf_data_ptr(c);
    CHECK(data != NULL && data[0] == 1 && data[5] == 1);
    SHAPE(c, 2, 3);
    CHECK(tf_numel(c) == 6 && tf_nbytes(c) == 24);
    tf_free_tensor(a);
    tf_free_tensor(b);
    tf_free_tensor(c);
}

static void arithmetic(void) {
    TF_Tensor *a = matrix((float[]){1, 2, 3, 4}, 2, 2), *b = matrix((float[]){5, -6, 7, -8}, 2, 2);
    TF_Status *status = tf_new_status();
    TF_Tensor *sum = tf_add(a, b), *difference = tf_sub(a, b, status), *product = tf_mul(a, b, NULL);
    TF_Tensor *matmul = tf_matmul(a, b, status), *relu = tf_relu(b), *nested = tf_add(tf_retain(sum), b);
    CHECK(tf_get_status_code(status) == TF_OK && strcmp(tf_get_status_message(status), "") == 0);
    FLOATS(sum, 6, -4, 10, -4);
    FLOATS(difference, -4, 8, -4, 12);
    FLOATS(product, 5, -12, 21, -32);
    FLOATS(matmul, 19, -22, 43, -50);
    FLOATS(relu, 5, 0, 7, 0);
    FLOATS(nested, 11, -10, 17, -12);
    tf_free_tensor(sum);
    FLOATS(sum, 6, -4, 10, -4); // retained above
    TF_Tensor *all[] = {a, b, sum, difference, product, matmul, relu, nested};
    for (size_t i = 0; i < COUNT(all); i++) tf_free_tensor(all[i]);
    tf_delete_status(status);
}

static void data(void) {
    TF_Tensor *number = tf_ones(NULL, 0, TF_FLOAT64);
    double x = 0;
    CHECK(tf_ndim(number) == 0 && tf_numel(number) == 1 && tf_shape(number, NULL, 0));
    CHECK(tf_copy_to(number, &x, sizeof x) && x == 1);
    size_t none = 0;
    TF_Tensor *empty = tf_tensor_from_data(NULL, 0, &none, 1, TF_INT32);
    CHECK(tf_numel(empty) == 0 && tf_dtype(empty) == TF_INT32 && tf_copy_to(empty, NULL, 0) && tf_data_ptr(empty));

    unsigned char bytes[48], found[48];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 37 + 1);
    static const size_t sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16};
    for (int dtype = TF_UINT8; dtype <= TF_COMPLEX128; dtype++) {
        size_t n = 3, len = n * sizes[dtype];
        TF_Tensor *t = tf_tensor_from_data(bytes, len, &n, 1, (TF_DataType)dtype);
        CHECK(tf_dtype(t) == (TF_DataType)dtype && tf_copy_to(t, found, len) && memcmp(bytes, found, len) == 0);
        tf_free_tensor(t);
    }
    size_t three = 3;
    TF_Tensor *truths = tf_tensor_from_data(((unsigned char[]){0, 7, 255}), 3, &three, 1, TF_BOOL);
    CHECK(tf_copy_to(truths, found, 3) && memcmp(found, (unsigned char[]){0, 1, 1}, 3) == 0);

    // A tensor that does not lie in one run has no pointer, but can be copied, and made contiguous.
    TF_Tensor *a = matrix((float[]){1, 2, 3, 4, 5, 6}, 2, 3), *t = ONE("t", tf_value_tensor(a));
    CHECK(tf_data_ptr(t) == NULL && tf_last_error_code() == TF_ARGUMENT_ERROR);
    FLOATS(t, 1, 4, 2, 5, 3, 6);
    TF_Tensor *run = ONE("contiguous", tf_value_tensor(t));
    CHECK(((float *)tf_data_ptr(run))[1] == 4);
    TF_Tensor *row = ONE("select", tf_value_tensor(a), tf_value_int(0), tf_value_int(1));
    CHECK(tf_data_ptr(row) == (float *)tf_data_ptr(a) + 3);
    TF_Tensor *all[] = {number, empty, truths, a, t, run, row};
    for (size_t i = 0; i < COUNT(all); i++) tf_free_tensor(all[i]);
}

static void derivatives(void) {
    TF_Tensor *x = vector((float[]){1, -2, 3}, 3);
    CHECK(!tf_requires_grad(x) && tf_set_requires_grad(x, 1) && tf_requires_grad(x));
    CHECK(tf_grad(x) == NULL && tf_last_error_code() != TF_NULL_POINTER);
    TF_Tensor *square = tf_mul(x, x), *loss = ONE("sum", tf_value_tensor(square));
    CHECK(tf_requires_grad(loss) && tf_backward(loss, NULL));
    TF_Tensor *gradient = tf_grad(x);
    FLOATS(gradient, 2, -4, 6);
    tf_free_tensor(gradient);

    // Another way back adds to it, weighed by what is given.
    TF_Tensor *relu = tf_relu(x), *weights = vector((float[]){10, 20, 30}, 3);
    CHECK(tf_backward(relu, weights));
    gradient = tf_grad(x);
    FLOATS(gradient, 12, -4, 36);
    tf_free_tensor(gradient);

    CHECK(tf_is_grad_enabled() && tf_set_grad_enabled(0) && !tf_is_grad_enabled());
    TF_Tensor *unrecorded = tf_mul(x, x);
    CHECK(!tf_requires_grad(unrecorded) && !tf_set_grad_enabled(1) && tf_is_grad_enabled());

    // d sum(a @ b) / da = ones @ b^T
    TF_Tensor *a = matrix((float[]){1, 2, 3, 4}, 2, 2), *b = matrix((float[]){5, 6, 7, 8}, 2, 2);
    tf_set_requires_grad(a, true);
    TF_Tensor *product = tf_matmul(a, b), *ones = tf_ones(((size_t[]){2, 2}), 2, TF_FLOAT32);
    CHECK(tf_backward(product, ones));
    TF_Tensor *da = tf_grad(a);
    FLOATS(da, 11, 15, 11, 15);
    CHECK(tf_set_requires_grad(a, 0) && !tf_requires_grad(a));
    TF_Tensor *all[] = {x, square, loss, relu, weights, unrecorded, a, b, product, ones, da};
    for (size_t i = 0; i < COUNT(all); i++) tf_free_tensor(all[i]);
}

// Rows of the table, one for each way in which arguments and results are passed.
static void rows(void) {
    TF_Tensor *x = matrix((float[]){3, 1, 2, 6, 5, 4}, 2, 3), *results[8] = {NULL};
    TF_Value input = tf_value_tensor(x);
    size_t n = 1;

    // The form of `max` that runs depends on the arguments.
    CHECK(tf_op("max", &input, 1, results, &n) && n == 1);
    FLOATS(results[0], 6);
    tf_free_tensor(results[0]);
    TF_Value by_dim[] = {input, tf_named("dim", tf_value_int(1))};
    n = COUNT(results);
    CHECK(tf_op("max", by_dim, 2, results, &n) && n == 2);
    FLOATS(results[0], 3, 6);
    INTS(results[1], 0, 0);
    tf_free_tensor(results[0]);
    tf_free_tensor(results[1]);

    // Several results, as many as the arguments say.
    TF_Value columns_of[] = {input, tf_value_int(1)};
    n = 0;
    CHECK(tf_op("unbind", columns_of, 2, NULL, &n) && n == 3);
    CHECK(tf_op("unbind", columns_of, 2, results, &n) && n == 3);
    FLOATS(results[2], 2, 4);
    for (size_t i = 0; i < n; i++) tf_free_tensor(results[i]);

    TF_Tensor *made[40];
    size_t m = 0;
    // Integers one by one, and as a list.
    made[m++] = ONE("view", input, tf_value_int(3), tf_value_int(-1));
    SHAPE(made[m - 1], 3, 2);
    int64_t sizes[] = {6};
    made[m++] = ONE("view", input, tf_value_ints(sizes, 1));
    SHAPE(made[m - 1], 6);
    made[m++] = ONE("permute", input, tf_named("dims", tf_value_ints((int64_t[]){1, 0}, 2)));
    FLOATS(made[m - 1], 3, 6, 1, 5, 2, 4);
    // Numbers, names, NumPy's names, truth values, nothing.
    made[m++] = ONE("add", input, tf_value_int(1), tf_named("alpha", tf_value_float(0.5)));
    FLOATS(made[m - 1], 3.5, 1.5, 2.5, 6.5, 5.5, 4.5);
    TF_Value first = tf_value_ints((int64_t[]){0}, 1);
    made[m++] = ONE("sum", input, tf_named("axis", first), tf_named("keepdims", tf_value_bool(1)));
    FLOATS(made[m - 1], 9, 6, 6);
    SHAPE(made[m - 1], 1, 3);
    made[m++] = ONE("clamp", input, tf_value_none(), tf_value_int(3));
    FLOATS(made[m - 1], 3, 1, 2, 3, 3, 3);
    // Dtypes, devices, texts.
    TF_Value device = tf_named("device", tf_value_string("cpu"));
    made[m++] = ONE("zeros", tf_value_int(2), tf_named("dtype", tf_value_dtype(TF_INT64)), device);
    INTS(made[m - 1], 0, 0);
    made[m++] = ONE("mse_loss", input, input, tf_named("reduction", tf_value_string("sum")));
    FLOATS(made[m - 1], 0);
    made[m++] = ONE("full", tf_value_ints((int64_t[]){1}, 1), tf_value_complex(1, -2));
    CHECK(tf_dtype(made[m - 1]) == TF_COMPLEX64 && ((float *)tf_data_ptr(made[m - 1]))[1] == -2);
    // Lists of tensors.
    const TF_Tensor *pair[] = {x, x};
    made[m++] = ONE("cat", tf_value_tensors(pair, 2), tf_named("dim", tf_value_int(1)));
    SHAPE(made[m - 1], 2, 6);
    made[m++] = ONE("softmax", input, tf_value_int(-1));
    FLOATS(made[m - 1], 0.66524096f, 0.09003057f, 0.24472847f, 0.66524096f, 0.24472847f, 0.09003057f);
    made[m++] = ONE("linear", input, input, tf_value_none());
    FLOATS(made[m - 1], 14, 31, 31, 77);
    // Some tensors of a list left out: x[:, [0, 2]] = 9.
    TF_Tensor *columns = made[m++] = integers((int64_t[]){0, 2}, 2), *nine = made[m++] = vector((float[]){9}, 1);
    const TF_Tensor *indices[] = {NULL, columns};
    made[m++] = ONE("index_put", input, tf_value_tensors(indices, 2), tf_value_tensor(nine));
    FLOATS(made[m - 1], 9, 1, 9, 9, 5, 9);
    // In place, through a view, and into a tensor.
    TF_Tensor *copy = made[m++] = ONE("clone", input);
    TF_Tensor *view = made[m++] = ONE("select", tf_value_tensor(copy), tf_value_int(0), tf_value_int(0));
    TF_Value ten[] = {tf_value_tensor(view), tf_value_int(10)};
    CHECK(tf_op("add_", ten, 2, NULL, NULL));
    FLOATS(copy, 13, 11, 12, 6, 5, 4);
    TF_Tensor *result = made[m++] = ONE("mul", input, tf_value_int(2), tf_named("out", tf_value_tensor(copy)));
    FLOATS(copy, 6, 2, 4, 12, 10, 8);
    CHECK(tf_data_ptr(result) == tf_data_ptr(copy));
    // Random numbers follow from the seed, of a generator and of the library.
    TF_Generator *generator = tf_new_generator(7), *same = tf_new_generator(7);
    TF_Tensor *r = made[m++] = ONE("rand", tf_value_int(4), tf_named("generator", tf_value_generator(generator)));
    TF_Tensor *s = made[m++] = ONE("rand", tf_value_int(4), tf_named("generator", tf_value_generator(same)));
    CHECK(memcmp(tf_data_ptr(r), tf_data_ptr(s), 16) == 0);
    tf_manual_seed(7);
    s = made[m++] = ONE("rand", tf_value_int(4));
    CHECK(memcmp(tf_data_ptr(r), tf_data_ptr(s), 16) == 0);
    s = made[m++] = ONE("rand", tf_value_int(4));
    CHECK(memcmp(tf_data_ptr(r), tf_data_ptr(s), 16) != 0);
    tf_delete_generator(generator);
    tf_delete_generator(same);
    // No result.
    const TF_Tensor *parameters[] = {copy}, *gradients[] = {x};
    TF_Value step[] = {tf_value_tensors(parameters, 1), tf_value_tensors(gradients, 1), tf_value_tensors(NULL, 0),
                       tf_named("lr", tf_value_float(1))};
    n = 1;
    CHECK(tf_op("_fused_sgd_", step, COUNT(step), results, &n) && n == 0);
    FLOATS(copy, 3, 1, 2, 6, 5, 4);
    for (size_t i = 0; i < m; i++) tf_free_tensor(made[i]);
    tf_free_tensor(x);
}

int main(void) {
    CHECK(tf_init() == TF_OK && tf_init() == TF_OK);
    CHECK(strcmp(tf_version(), "") != 0);
    first_example();
    arithmetic();
    data();
    derivatives();
    rows();
    tf_cleanup();
    // After the end comes another beginning.
    tf_init();
    first_example();
    tf_cleanup();
    return summary();
}
