// minbert.h: the library for C and for languages that call C. docs/library.md shows it in use.
//
// Objects are opaque and owned by whoever received them: each minbert_X is freed by minbert_X_free, which takes NULL too. Strings are
// UTF-8. Texts that a function returns belong to the object that it was asked of, and end with a zero byte. No function throws or ends
// the process. A function that can fail returns a status, 0 when all is well, and if `error` is not NULL it then receives an error to be
// freed; what it should have made is NULL. All functions may be called from any thread, and several threads may use one model at once. A
// model must not be freed while another thread uses it, and pointers that it gave end with it.
//
// Predictions, vectors and ranks read as many tokens of a text as the model takes, and cut the rest, unless the task has windows.
#ifndef MINBERT_H
#define MINBERT_H

#include <stddef.h>
#include <stdint.h>

/* Rises whenever functions or fields are added. None is removed or changed before version 1.0 of the library without a new soname. */
#define MINBERT_API_VERSION 1

#define MINBERT_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
#define MINBERT_NOEXCEPT noexcept
extern "C" {
#else
#define MINBERT_NOEXCEPT
#endif

/* The exit codes of the program (README). */
typedef int32_t minbert_status;
enum {
  MINBERT_OK = 0,
  MINBERT_INTERNAL = 1,  /* a bug: please report it */
  MINBERT_USAGE = 2,     /* arguments, config, unknown task */
  MINBERT_DATA = 3,      /* data file missing or broken */
  MINBERT_MODEL = 4,     /* model folder missing, broken or unsupported */
  MINBERT_RESOURCES = 5, /* disk, memory, lock */
  MINBERT_DIVERGED = 6   /* NaN or infinity in weights, training or outputs */
};

typedef struct minbert_model minbert_model;
typedef struct minbert_predictions minbert_predictions;
typedef struct minbert_tokens minbert_tokens;
typedef struct minbert_error minbert_error;

/* ---- errors ---- */

MINBERT_EXPORT minbert_status minbert_error_code(const minbert_error* error) MINBERT_NOEXCEPT;
MINBERT_EXPORT const char* minbert_error_message(const minbert_error* error) MINBERT_NOEXCEPT;
MINBERT_EXPORT const char* minbert_error_place(const minbert_error* error) MINBERT_NOEXCEPT; /* file, file:line, argument; may be empty */
MINBERT_EXPORT const char* minbert_error_hint(const minbert_error* error) MINBERT_NOEXCEPT;  /* may be empty */
MINBERT_EXPORT void minbert_error_free(minbert_error* error) MINBERT_NOEXCEPT;

/* ---- versions ---- */

/* MINBERT_API_VERSION of the library that runs; it is at least that of the header it was built for. */
MINBERT_EXPORT uint32_t minbert_api_version(void) MINBERT_NOEXCEPT;
MINBERT_EXPORT const char* minbert_version(void) MINBERT_NOEXCEPT; /* "0.1.0" */

/* ---- models ---- */

/* What a model computes in. What the processor lacks becomes f32. */
typedef int32_t minbert_dtype;
enum { MINBERT_DTYPE_MODEL = 0, MINBERT_DTYPE_F32 = 1, MINBERT_DTYPE_BF16 = 2, MINBERT_DTYPE_INT8 = 3 };

/* Every struct of options begins with its size, sizeof(minbert_options), so that later versions can add fields; absent ones are 0. */
typedef struct minbert_options {
  uint32_t struct_size;
  minbert_dtype dtype;
  int32_t threads; /* 0: MINBERT_THREADS, else as many as cores, affinity mask and CPU quota allow */
} minbert_options;

/* A text, or a pair of texts where text_pair is not NULL. */
typedef struct minbert_text {
  const char* text;
  size_t size; /* bytes, or MINBERT_ZERO_TERMINATED */
  const char* text_pair;
  size_t pair_size;
} minbert_text;
#define MINBERT_ZERO_TERMINATED SIZE_MAX

/* Opens a Hugging Face folder, a run folder (then its best/), or a folder of sentence-transformers. `options` may be NULL. */
MINBERT_EXPORT minbert_status minbert_open(const char* folder, const minbert_options* options, minbert_model** out,
                                           minbert_error** error) MINBERT_NOEXCEPT;
MINBERT_EXPORT void minbert_model_free(minbert_model* model) MINBERT_NOEXCEPT;

MINBERT_EXPORT size_t minbert_task_count(const minbert_model* model) MINBERT_NOEXCEPT;
/* NULL for an index that is too large. */
MINBERT_EXPORT const char* minbert_task_name(const minbert_model* model, size_t task) MINBERT_NOEXCEPT;
/* 1 if the task reads pairs, else 0. */
MINBERT_EXPORT int32_t minbert_task_is_pair(const minbert_model* model, size_t task) MINBERT_NOEXCEPT;
/* 0 for a task whose answers are numbers. */
MINBERT_EXPORT size_t minbert_task_class_count(const minbert_model* model, size_t task) MINBERT_NOEXCEPT;
MINBERT_EXPORT const char* minbert_task_class_name(const minbert_model* model, size_t task, size_t index) MINBERT_NOEXCEPT;

/* ---- labels and numbers ---- */

/* One prediction for each text, in order. `task` may be NULL if the model has one. */
MINBERT_EXPORT minbert_status minbert_predict(minbert_model* model, const char* task, const minbert_text* texts, size_t count,
                                              minbert_predictions** out, minbert_error** error) MINBERT_NOEXCEPT;
MINBERT_EXPORT size_t minbert_predictions_count(const minbert_predictions* predictions) MINBERT_NOEXCEPT;
/* The class's name, or its number as text; a number's text where answers are numbers, a JSON list where they are sets of classes. NULL for
 * an index that is too large. */
MINBERT_EXPORT const char* minbert_predictions_label(const minbert_predictions* predictions, size_t index) MINBERT_NOEXCEPT;
/* The class's index, or the number; NaN where answers are sets of classes. */
MINBERT_EXPORT double minbert_predictions_value(const minbert_predictions* predictions, size_t index) MINBERT_NOEXCEPT;
/* The class's index, or those of a set, ascending; `*count`, unless NULL, receives how many. Where it is 0, the result may be NULL. */
MINBERT_EXPORT const int32_t* minbert_predictions_classes(const minbert_predictions* predictions, size_t index,
                                                          size_t* count) MINBERT_NOEXCEPT;
/* The probability of the predicted class, of a set's likeliest one; NaN where answers are numbers. */
MINBERT_EXPORT double minbert_predictions_score(const minbert_predictions* predictions, size_t index) MINBERT_NOEXCEPT;
/* The probability of each class; `*classes`, unless NULL, receives their count, 0 where answers are numbers. */
MINBERT_EXPORT const double* minbert_predictions_probs(const minbert_predictions* predictions, size_t index,
                                                       size_t* classes) MINBERT_NOEXCEPT;
MINBERT_EXPORT void minbert_predictions_free(minbert_predictions* predictions) MINBERT_NOEXCEPT;

/* ---- vectors ---- */

/* A field that is 0 or NULL takes its value from the folder's sentence-transformers files. Without such files, a vector is the mean of the
   token vectors. */
typedef struct minbert_embed_options {
  uint32_t struct_size;
  int32_t normalize;   /* 1: unit vectors, -1: not, 0: as the folder says */
  uint32_t dimensions; /* keep the first numbers only; 0: all */
  const char* pool;    /* "mean", "cls", ...: the pooled vectors alone */
  const char* prompt;  /* text before each text */
} minbert_embed_options;

/* Numbers of one vector. `options` may be NULL. */
MINBERT_EXPORT minbert_status minbert_embed_width(const minbert_model* model, const minbert_embed_options* options, size_t* width,
                                                  minbert_error** error) MINBERT_NOEXCEPT;
/* Writes vectors (count, width), row-major; `capacity` counts the floats that `rows` has room for. If that is too little, the
 * status is MINBERT_USAGE and nothing is written. */
MINBERT_EXPORT minbert_status minbert_embed(minbert_model* model, const minbert_text* texts, size_t count,
                                            const minbert_embed_options* options, float* rows, size_t capacity,
                                            minbert_error** error) MINBERT_NOEXCEPT;

/* Orders documents by falling score of (query, document): `order` and `scores` receive `count` entries each. `task` is a pair task that
 * gives one number; NULL: the model's only such task, else the cosine of sentence vectors. */
MINBERT_EXPORT minbert_status minbert_rank(minbert_model* model, const char* task, const minbert_text* query, const minbert_text* documents,
                                           size_t count, size_t* order, double* scores, minbert_error** error) MINBERT_NOEXCEPT;

/* ---- tokens ---- */

/* Token ids with [CLS] and [SEP]; `max_length` counts these, and 0 is no limit. */
MINBERT_EXPORT minbert_status minbert_tokenize(minbert_model* model, const minbert_text* texts, size_t count, size_t max_length,
                                               minbert_tokens** out, minbert_error** error) MINBERT_NOEXCEPT;
MINBERT_EXPORT size_t minbert_tokens_count(const minbert_tokens* tokens) MINBERT_NOEXCEPT;                     /* texts */
MINBERT_EXPORT size_t minbert_tokens_length(const minbert_tokens* tokens, size_t index) MINBERT_NOEXCEPT;      /* tokens of a text */
MINBERT_EXPORT const int32_t* minbert_tokens_ids(const minbert_tokens* tokens, size_t index) MINBERT_NOEXCEPT; /* (length) */
MINBERT_EXPORT const int32_t* minbert_tokens_type_ids(const minbert_tokens* tokens, size_t index) MINBERT_NOEXCEPT;
/* [start, end) of each token in code points of its text: (length, 2). */
MINBERT_EXPORT const int32_t* minbert_tokens_offsets(const minbert_tokens* tokens, size_t index) MINBERT_NOEXCEPT;
MINBERT_EXPORT const char* minbert_tokens_text(const minbert_tokens* tokens, size_t index, size_t token) MINBERT_NOEXCEPT;
MINBERT_EXPORT void minbert_tokens_free(minbert_tokens* tokens) MINBERT_NOEXCEPT;

/* ---- training ---- */

typedef struct minbert_train_options {
  uint32_t struct_size;
  int32_t threads;    /* as in minbert_options */
  const char* output; /* the run folder; NULL: runs/NAME */
  int32_t resume;     /* 1: go on where the folder's last checkpoint stands */
  int32_t overwrite;  /* 1: remove the run that is there */
  void* user;         /* given to both functions */
  /* Gets each event of the run as a JSON object (docs/library.md), on the thread that called minbert_train. May be NULL. */
  void (*on_event)(void* user, const char* json, size_t size);
  /* Asked after each step, on the same thread: other than 0 saves a checkpoint and ends the run. May be NULL. */
  int32_t (*should_stop)(void* user);
} minbert_train_options;

/* Trains as the text of a TOML config says, whose relative paths start at the working directory. `*stopped`, unless NULL, receives 1 if
 * should_stop ended the run. */
MINBERT_EXPORT minbert_status minbert_train(const char* config, size_t size, const minbert_train_options* options, int32_t* stopped,
                                            minbert_error** error) MINBERT_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
