/*
 * TenfloweRS for C: tensors, all operations, and their derivatives.
 *
 *     #include <tenflowers.h>
 *
 *     size_t shape[] = {2, 3};
 *     TF_Tensor *a = tf_ones(shape, 2, TF_FLOAT32);
 *     TF_Tensor *b = tf_add(a, a);
 *     const float *data = tf_data_ptr(b);
 *     tf_free_tensor(a);
 *     tf_free_tensor(b);
 *
 * Errors. A function that fails returns NULL, false or -1, as its comment says. Why, it tells the TF_Status that is its
 * last argument, and the calling thread by tf_last_error(). The status may be NULL, and it may be left out; an array
 * literal then has to stand in parentheses: tf_zeros(((size_t[]){2, 3}), 2, TF_FLOAT32). Define TF_NO_MACROS before the
 * header to do without the macros that allow this.
 *
 * Pointers. Tensors, statuses and generators that are NULL, or were freed, are found out and reported. Every other
 * pointer has to be valid for as many items as the count beside it says, a text has to end with a zero, and the payload
 * of a TF_Value has to be the one that its kind says.
 *
 * Threads. All functions may be called from any thread, and tensors be used by several at once.
 *
 * Made by cbindgen from crates/tenflowers-ffi/src/c: change it there, and run `make header`.
 */


#ifndef TENFLOWERS_H
#define TENFLOWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * How a call ended.
 */
enum TF_Code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It did what was asked.
     */
    TF_OK = 0,
    /**
     * An error of no other class.
     */
    TF_ERROR = 1,
    /**
     * Shapes that do not go together.
     */
    TF_SHAPE_ERROR = 2,
    /**
     * Dtypes that do not go together.
     */
    TF_DTYPE_ERROR = 3,
    /**
     * A dimension that the tensor does not have.
     */
    TF_AXIS_ERROR = 4,
    /**
     * An index outside its dimension, or of the wrong form.
     */
    TF_INDEX_ERROR = 5,
    /**
     * A value that the operation cannot take.
     */
    TF_ARGUMENT_ERROR = 6,
    /**
     * Missing or unknown arguments of an operation, or ones of a wrong type.
     */
    TF_CALL_ERROR = 7,
    /**
     * What gradients do not allow.
     */
    TF_GRADIENT_ERROR = 8,
    /**
     * What is not implemented for these arguments.
     */
    TF_UNSUPPORTED = 9,
    /**
     * A device that is not there.
     */
    TF_DEVICE_ERROR = 10,
    /**
     * More memory than there is.
     */
    TF_OUT_OF_MEMORY = 11,
    /**
     * A file that cannot be read or written.
     */
    TF_FILE_ERROR = 12,
    /**
     * The end of a long computation was asked for.
     */
    TF_INTERRUPTED = 13,
    /**
     * An operation that does not exist.
     */
    TF_NOT_FOUND = 14,
    /**
     * NULL where a pointer is needed.
     */
    TF_NULL_POINTER = 15,
    /**
     * A handle that was freed, or never was one.
     */
    TF_INVALID_HANDLE = 16,
    /**
     * A fault of the library itself.
     */
    TF_INTERNAL_ERROR = 17,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum TF_Code TF_Code;
#else
typedef int32_t TF_Code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The type of a tensor's elements.
 */
enum TF_DataType
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * What `tf_dtype` returns where there is no tensor.
     */
    TF_INVALID_DTYPE = -1,
    /**
     * One byte, 0 or 1.
     */
    TF_BOOL = 0,
    TF_UINT8 = 1,
    TF_UINT16 = 2,
    TF_UINT32 = 3,
    TF_UINT64 = 4,
    TF_INT8 = 5,
    TF_INT16 = 6,
    TF_INT32 = 7,
    TF_INT64 = 8,
    /**
     * IEEE's 16 bits.
     */
    TF_FLOAT16 = 9,
    /**
     * The upper 16 bits of a float32.
     */
    TF_BFLOAT16 = 10,
    TF_FLOAT32 = 11,
    TF_FLOAT64 = 12,
    /**
     * Two float32: the real part, then the imaginary one.
     */
    TF_COMPLEX64 = 13,
    /**
     * Two float64.
     */
    TF_COMPLEX128 = 14,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum TF_DataType TF_DataType;
#else
typedef int32_t TF_DataType;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a `TF_Value` holds.
 */
enum TF_Kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Nothing, where an argument may be left out.
     */
    TF_KIND_NONE = 0,
    TF_KIND_TENSOR = 1,
    /**
     * Several tensors. One of them may be NULL where the operation allows that.
     */
    TF_KIND_TENSORS = 2,
    TF_KIND_INT = 3,
    TF_KIND_INTS = 4,
    TF_KIND_FLOAT = 5,
    TF_KIND_BOOL = 6,
    TF_KIND_COMPLEX = 7,
    TF_KIND_DTYPE = 8,
    /**
     * UTF-8 that ends with a zero; devices go by their names.
     */
    TF_KIND_STRING = 9,
    TF_KIND_GENERATOR = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum TF_Kind TF_Kind;
#else
typedef int32_t TF_Kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A stream of random numbers.
 */
typedef struct TF_Generator TF_Generator;

/**
 * Takes the outcome of a call. Use one status in one thread at a time.
 */
typedef struct TF_Status TF_Status;

/**
 * A tensor: a handle that is counted. Each function that returns one gives a reference to the caller, who frees it
 * with `tf_free_tensor`.
 */
typedef struct TF_Tensor TF_Tensor;

/**
 * Several tensors.
 */
typedef struct TF_TensorList {
    const struct TF_Tensor *const *items;
    size_t count;
} TF_TensorList;

/**
 * Several integers.
 */
typedef struct TF_IntList {
    const int64_t *items;
    size_t count;
} TF_IntList;

/**
 * A complex number.
 */
typedef struct TF_Complex {
    double real;
    double imag;
} TF_Complex;

/**
 * The content of a `TF_Value`; its kind says which member.
 */
typedef union TF_Payload {
    const struct TF_Tensor *tensor;
    struct TF_TensorList tensors;
    int64_t integer;
    struct TF_IntList integers;
    double real;
    /**
     * Any number but 0 is true.
     */
    int boolean;
    struct TF_Complex complex_number;
    TF_DataType dtype;
    const char *string;
    const struct TF_Generator *generator;
} TF_Payload;

/**
 * An argument of an operation. It refers to tensors, lists and texts, and owns none of them.
 */
typedef struct TF_Value {
    /**
     * The parameter that it is for, or NULL for the next one in order.
     */
    const char *name;
    TF_Kind kind;
    union TF_Payload payload;
} TF_Value;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Gets the library ready. It may be called again, and left out: the first call that needs something makes it.
 *
 * Returns `TF_OK`, or `TF_ARGUMENT_ERROR` if the environment's `TF_NUM_THREADS` is no positive integer.
 */
TF_Code tf_init(void);

/**
 * Ends the library's threads and forgets this thread's last error. Tensors that are still there stay good until they
 * are freed.
 */
void tf_cleanup(void);

/**
 * The version of the library, such as "0.1.0". The text lives as long as the program.
 */
const char *tf_version(void);

/**
 * A new status, which says `TF_OK`. Free it with `tf_delete_status`.
 */
struct TF_Status *tf_new_status(void);

/**
 * Frees a status; NULL is left alone.
 */
void tf_delete_status(struct TF_Status *status);

/**
 * How the last call that was given this status ended.
 */
TF_Code tf_get_status_code(const struct TF_Status *status);

/**
 * What went wrong in the last call that was given this status, or "". The text is good until the status is used again.
 */
const char *tf_get_status_message(const struct TF_Status *status);

/**
 * The message of the last call of this thread that failed, or "". Calls that succeed leave it as it is. The text is
 * good until the next failure.
 */
const char *tf_last_error(void);

/**
 * The code of the last call of this thread that failed, or `TF_OK`.
 */
TF_Code tf_last_error_code(void);

/**
 * Forgets the last error of this thread.
 */
void tf_clear_last_error(void);

/**
 * A tensor of zeros, of the `ndim` sizes in `shape` (none for a single number).
 *
 * ```c
 * size_t shape[] = {2, 3};
 * TF_Tensor *a = tf_zeros(shape, 2, TF_FLOAT32);
 * ```
 */
struct TF_Tensor *tf_zeros(const size_t *shape, size_t ndim, TF_DataType dtype, struct TF_Status *status);

/**
 * A tensor of ones, of the `ndim` sizes in `shape` (none for a single number).
 */
struct TF_Tensor *tf_ones(const size_t *shape, size_t ndim, TF_DataType dtype, struct TF_Status *status);

/**
 * A tensor with a copy of the `len` bytes at `data`: its elements in row-major order, the last index fastest.
 *
 * `len` has to be the size of the shape's elements. Any byte but 0 is true to `TF_BOOL`.
 *
 * ```c
 * float data[] = {1, 2, 3, 4};
 * size_t shape[] = {2, 2};
 * TF_Tensor *a = tf_tensor_from_data(data, sizeof data, shape, 2, TF_FLOAT32);
 * ```
 */
struct TF_Tensor *tf_tensor_from_data(const void *data,
                                      size_t len,
                                      const size_t *shape,
                                      size_t ndim,
                                      TF_DataType dtype,
                                      struct TF_Status *status);

/**
 * One more reference to a tensor; returns the same pointer. It has to be freed once more.
 */
struct TF_Tensor *tf_retain(struct TF_Tensor *tensor);

/**
 * Gives one reference to a tensor back; with the last one the tensor is freed. NULL is left alone.
 */
void tf_free_tensor(struct TF_Tensor *tensor);

/**
 * The number of dimensions, or -1 after an error.
 */
int64_t tf_ndim(const struct TF_Tensor *tensor, struct TF_Status *status);

/**
 * Writes the sizes of all dimensions to `dims`, which has place for `n_dims` of them; that may be more than there are.
 * Returns whether it worked.
 */
bool tf_shape(const struct TF_Tensor *tensor, size_t *dims, size_t n_dims, struct TF_Status *status);

/**
 * The number of elements, or -1 after an error.
 */
int64_t tf_numel(const struct TF_Tensor *tensor, struct TF_Status *status);

/**
 * The number of bytes that the elements take, or -1 after an error.
 */
int64_t tf_nbytes(const struct TF_Tensor *tensor, struct TF_Status *status);

/**
 * The type of the elements, or `TF_INVALID_DTYPE` after an error.
 */
TF_DataType tf_dtype(const struct TF_Tensor *tensor, struct TF_Status *status);

/**
 * The elements themselves, in row-major order: good as long as the tensor is, and never NULL unless there is an error.
 *
 * The tensor has to be contiguous; `tf_copy_to` reads every tensor, and the operation "contiguous" makes one of it.
 * Derivatives do not notice what is written through the pointer.
 */
void *tf_data_ptr(const struct TF_Tensor *tensor, struct TF_Status *status);

/**
 * Copies the elements, in row-major order, to the `len` bytes at `buffer`. `len` has to be what `tf_nbytes` says.
 * Returns whether it worked.
 */
bool tf_copy_to(const struct TF_Tensor *tensor, void *buffer, size_t len, struct TF_Status *status);

/**
 * `a + b`, shapes broadcast and dtypes promoted.
 */
struct TF_Tensor *tf_add(const struct TF_Tensor *a, const struct TF_Tensor *b, struct TF_Status *status);

/**
 * `a - b`, shapes broadcast and dtypes promoted.
 */
struct TF_Tensor *tf_sub(const struct TF_Tensor *a, const struct TF_Tensor *b, struct TF_Status *status);

/**
 * `a * b`, element by element, shapes broadcast and dtypes promoted.
 */
struct TF_Tensor *tf_mul(const struct TF_Tensor *a, const struct TF_Tensor *b, struct TF_Status *status);

/**
 * The matrix product of two tensors of one dtype: `[..., n, k]` by `[..., k, m]` gives `[..., n, m]`.
 *
 * ```c
 * TF_Status *status = tf_new_status();
 * TF_Tensor *c = tf_matmul(a, b, status);
 * if (tf_get_status_code(status) != TF_OK) printf("Error: %s\n", tf_get_status_message(status));
 * tf_delete_status(status);
 * ```
 */
struct TF_Tensor *tf_matmul(const struct TF_Tensor *a, const struct TF_Tensor *b, struct TF_Status *status);

/**
 * Each element, or 0 where it is negative.
 */
struct TF_Tensor *tf_relu(const struct TF_Tensor *tensor, struct TF_Status *status);

/**
 * Nothing, as an argument.
 */
struct TF_Value tf_value_none(void);

/**
 * A tensor as an argument.
 */
struct TF_Value tf_value_tensor(const struct TF_Tensor *tensor);

/**
 * Several tensors as one argument.
 */
struct TF_Value tf_value_tensors(const struct TF_Tensor *const *tensors, size_t count);

/**
 * An integer as an argument.
 */
struct TF_Value tf_value_int(int64_t integer);

/**
 * Several integers as one argument: sizes, or dimensions.
 */
struct TF_Value tf_value_ints(const int64_t *integers, size_t count);

/**
 * A number as an argument.
 */
struct TF_Value tf_value_float(double real);

/**
 * A truth value as an argument: any number but 0 is true.
 */
struct TF_Value tf_value_bool(int boolean);

/**
 * A complex number as an argument.
 */
struct TF_Value tf_value_complex(double real, double imag);

/**
 * A dtype as an argument.
 */
struct TF_Value tf_value_dtype(TF_DataType dtype);

/**
 * A text as an argument, or the name of a device.
 */
struct TF_Value tf_value_string(const char *string);

/**
 * A generator of random numbers as an argument.
 */
struct TF_Value tf_value_generator(const struct TF_Generator *generator);

/**
 * The same argument for the parameter of that name: `tf_named("dim", tf_value_int(0))`.
 */
struct TF_Value tf_named(const char *name, struct TF_Value value);

/**
 * A new stream of random numbers, which `seed` determines. Free it with `tf_delete_generator`.
 */
struct TF_Generator *tf_new_generator(uint64_t seed);

/**
 * Frees a generator; NULL is left alone.
 */
void tf_delete_generator(struct TF_Generator *generator);

/**
 * Starts the stream that operations use, where they are given none, again from `seed`.
 */
void tf_manual_seed(uint64_t seed);

/**
 * Runs any operation, by the name that it has in Python: "softmax", "max", "conv2d"; "add_" works in place, on the
 * first argument. Returns whether it worked.
 *
 * `args` are `n_args` arguments: those without a name go by position, in order. "out" names a tensor that takes the
 * result. Where an operation has several forms, the first that takes the arguments runs. Several sizes may stand one
 * by one.
 *
 * `results` has place for `*n_results` tensors. The results are written there, several in the order of their names
 * (values, indices), and their number to `*n_results`, which is 0 after an error. A number or a truth value comes as
 * a tensor of no dimensions. With `results` NULL the results are dropped, and `n_results` may be NULL too.
 *
 * ```c
 * TF_Value args[] = {tf_value_tensor(x), tf_named("dim", tf_value_int(1))};
 * TF_Tensor *results[2];
 * size_t n = 2;
 * tf_op("max", args, 2, results, &n, status);
 * ```
 */
bool tf_op(const char *name,
           const struct TF_Value *args,
           size_t n_args,
           struct TF_Tensor **results,
           size_t *n_results,
           struct TF_Status *status);

/**
 * Whether gradients are recorded for a tensor; false after an error.
 */
bool tf_requires_grad(const struct TF_Tensor *tensor, struct TF_Status *status);

/**
 * Has the gradient of a tensor recorded from here on, or, with `on` = 0, no longer. Only floating point and complex
 * tensors have gradients, and only what no operation made can lose them. Returns whether it worked.
 */
bool tf_set_requires_grad(struct TF_Tensor *tensor, int on, struct TF_Status *status);

/**
 * Adds the gradients of `tensor` to those of all tensors that it was computed from and that require them; `tf_grad`
 * reads them. Returns whether it worked.
 *
 * `gradient` weighs the elements of `tensor` and has its shape; for a tensor of one element it may be NULL. What was
 * recorded is used up.
 *
 * ```c
 * tf_set_requires_grad(x, 1);
 * TF_Tensor *square = tf_mul(x, x);
 * tf_backward(square, NULL);
 * TF_Tensor *gradient = tf_grad(x);
 * ```
 */
bool tf_backward(const struct TF_Tensor *tensor, const struct TF_Tensor *gradient, struct TF_Status *status);

/**
 * The gradient that was added up for a tensor, or NULL with `TF_OK` if there is none yet.
 */
struct TF_Tensor *tf_grad(const struct TF_Tensor *tensor, struct TF_Status *status);

/**
 * Whether this thread's operations are recorded for derivatives, as they are to begin with.
 */
bool tf_is_grad_enabled(void);

/**
 * Has this thread's operations recorded for derivatives, or not, and returns how it was before.
 *
 * ```c
 * bool before = tf_set_grad_enabled(0);
 * // ... nothing is recorded here
 * tf_set_grad_enabled(before);
 * ```
 */
bool tf_set_grad_enabled(int on);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TENFLOWERS_H */

#ifndef TF_NO_MACROS
/* Each call goes to the function, with NULL for the status where it is left out: the number of arguments tells. */
#define TF_EXPAND_(x) x
#define TF_PICK_(a, b, c, d, e, f, g, h, i, j, k, l, name, ...) name
#define TF_GIVEN_(f, ...) f(__VA_ARGS__)
#define TF_LEFT_OUT_(f, ...) f(__VA_ARGS__, NULL)
#define TF_STATUS_AFTER_1_(f, ...) \
    TF_EXPAND_(TF_PICK_(__VA_ARGS__, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, \
        TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_LEFT_OUT_, 0)((f), __VA_ARGS__))
#define TF_STATUS_AFTER_2_(f, ...) \
    TF_EXPAND_(TF_PICK_(__VA_ARGS__, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, \
        TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_LEFT_OUT_, TF_GIVEN_, 0)((f), __VA_ARGS__))
#define TF_STATUS_AFTER_3_(f, ...) \
    TF_EXPAND_(TF_PICK_(__VA_ARGS__, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, \
        TF_GIVEN_, TF_GIVEN_, TF_LEFT_OUT_, TF_GIVEN_, TF_GIVEN_, 0)((f), __VA_ARGS__))
#define TF_STATUS_AFTER_5_(f, ...) \
    TF_EXPAND_(TF_PICK_(__VA_ARGS__, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, \
        TF_LEFT_OUT_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, TF_GIVEN_, 0)((f), __VA_ARGS__))

#define tf_zeros(...) TF_STATUS_AFTER_3_(tf_zeros, __VA_ARGS__)
#define tf_ones(...) TF_STATUS_AFTER_3_(tf_ones, __VA_ARGS__)
#define tf_tensor_from_data(...) TF_STATUS_AFTER_5_(tf_tensor_from_data, __VA_ARGS__)
#define tf_ndim(...) TF_STATUS_AFTER_1_(tf_ndim, __VA_ARGS__)
#define tf_shape(...) TF_STATUS_AFTER_3_(tf_shape, __VA_ARGS__)
#define tf_numel(...) TF_STATUS_AFTER_1_(tf_numel, __VA_ARGS__)
#define tf_nbytes(...) TF_STATUS_AFTER_1_(tf_nbytes, __VA_ARGS__)
#define tf_dtype(...) TF_STATUS_AFTER_1_(tf_dtype, __VA_ARGS__)
#define tf_data_ptr(...) TF_STATUS_AFTER_1_(tf_data_ptr, __VA_ARGS__)
#define tf_copy_to(...) TF_STATUS_AFTER_3_(tf_copy_to, __VA_ARGS__)
#define tf_add(...) TF_STATUS_AFTER_2_(tf_add, __VA_ARGS__)
#define tf_sub(...) TF_STATUS_AFTER_2_(tf_sub, __VA_ARGS__)
#define tf_mul(...) TF_STATUS_AFTER_2_(tf_mul, __VA_ARGS__)
#define tf_matmul(...) TF_STATUS_AFTER_2_(tf_matmul, __VA_ARGS__)
#define tf_relu(...) TF_STATUS_AFTER_1_(tf_relu, __VA_ARGS__)
#define tf_op(...) TF_STATUS_AFTER_5_(tf_op, __VA_ARGS__)
#define tf_requires_grad(...) TF_STATUS_AFTER_1_(tf_requires_grad, __VA_ARGS__)
#define tf_set_requires_grad(...) TF_STATUS_AFTER_2_(tf_set_requires_grad, __VA_ARGS__)
#define tf_backward(...) TF_STATUS_AFTER_2_(tf_backward, __VA_ARGS__)
#define tf_grad(...) TF_STATUS_AFTER_1_(tf_grad, __VA_ARGS__)
#endif /* TF_NO_MACROS */
