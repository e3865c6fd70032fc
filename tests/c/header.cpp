// The header in C++: it compiles, its macros too, and a name that they took can be had back.
#include <tenflowers.h>

#include <cstdio>
#include <vector>

int main() {
    tf_init();
    std::vector<size_t> shape = {2, 2};
    TF_Status *status = tf_new_status();
    TF_Tensor *a = tf_ones(shape.data(), shape.size(), TF_FLOAT32);
    TF_Tensor *b = tf_add(a, a), *c = tf_matmul(a, b, status);
    const float *data = static_cast<const float *>(tf_data_ptr(c));
    bool right = tf_get_status_code(status) == TF_OK && tf_dtype(c) == TF_FLOAT32 && data != nullptr && data[3] == 4;

    std::vector<TF_Value> args = {tf_value_tensor(c), tf_named("dim", tf_value_int(0))};
    TF_Tensor *sum = nullptr;
    size_t n = 1;
    right = right && tf_op("sum", args.data(), args.size(), &sum, &n) && (tf_numel)(sum, nullptr) == 2;
    for (TF_Tensor *t : {a, b, c, sum}) tf_free_tensor(t);
    tf_delete_status(status);
    tf_cleanup();
    std::printf("%d passed, %d failed\n", right ? 1 : 0, right ? 0 : 1);
    return right ? 0 : 1;
}
