/* What main.c needs of a runtime: onnxruntime.c and litert.c have it. */
#ifndef MODEL_H
#define MODEL_H

#include <stddef.h>

typedef enum { FLOAT32, INT8, UINT8, INT32, INT64, BOOL } Type;

typedef struct {
  void *data; /* of an output, valid until the next model_run */
  size_t bytes;
  Type type;
} Tensor;

/* Load a file for so many threads; set the numbers of inputs and outputs, in the order of the file. */
void model_load(const char *path, int threads, size_t *inputs, size_t *outputs);
/* Return an input with room for `bytes` to be filled. */
Tensor *model_input(size_t index);
void model_run(void);
const Tensor *model_output(size_t index);

/* Print a message and end the process with 2. */
void fail(const char *what, const char *why);

#endif
