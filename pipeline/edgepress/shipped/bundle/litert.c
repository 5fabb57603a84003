/* Run a TFLite file: cc -O2 main.c litert.c -o run -lLiteRt -lm

   LiteRT chooses the threads by itself. */
#include <stdlib.h>
#include <string.h>

#include "litert_api.h"
#include "model.h"

enum { MOST = 64 }; /* inputs and outputs */

static LiteRtCompiledModel compiled;
static LiteRtTensorBuffer buffers_in[MOST], buffers_out[MOST];
static Tensor tensors_in[MOST], tensors_out[MOST];
static size_t count_in, count_out;

static void done(LiteRtStatus status, const char *what) {
  if (status) fail(what, "LiteRT refuses it; its messages are above");
}

static void describe(const LiteRtRankedTensorType *type, Tensor *tensor) {
  size_t size = type->element_type == LITERT_INT64 ? 8
                : type->element_type == LITERT_FLOAT32 || type->element_type == LITERT_INT32 ? 4 : 1;
  switch (type->element_type) {
    case LITERT_FLOAT32: tensor->type = FLOAT32; break;
    case LITERT_INT8: tensor->type = INT8; break;
    case LITERT_UINT8: tensor->type = UINT8; break;
    case LITERT_INT32: tensor->type = INT32; break;
    case LITERT_INT64: tensor->type = INT64; break;
    case LITERT_BOOL: tensor->type = BOOL; break;
    default: fail("model", "a tensor of a type that this runner does not know");
  }
  tensor->bytes = size;
  for (unsigned axis = 0; axis < type->layout.rank; axis++) {
    if (type->layout.dimensions[axis] < 1) fail("model", "a tensor whose size is open");
    tensor->bytes *= (size_t)type->layout.dimensions[axis];
  }
  if (!(tensor->data = calloc(1, tensor->bytes))) fail("model", "no memory for its tensors");
}

void model_load(const char *path, int threads, size_t *inputs, size_t *outputs) {
  LiteRtEnvironment environment;
  LiteRtModel model;
  LiteRtOptions options;
  LiteRtSignature signature;
  (void)threads;
  done(LiteRtCreateEnvironment(0, NULL, &environment), "environment");
  done(LiteRtCreateModelFromFile(environment, path, &model), path);
  done(LiteRtCreateOptions(&options), "options");
  done(LiteRtSetOptionsHardwareAccelerators(options, LITERT_CPU), "accelerator");
  done(LiteRtCreateCompiledModel(environment, model, options, &compiled), path);
  done(LiteRtGetModelSignature(model, 0, &signature), "signature");
  done(LiteRtGetNumSignatureInputs(signature, &count_in), "inputs");
  done(LiteRtGetNumSignatureOutputs(signature, &count_out), "outputs");
  if (count_in > MOST || count_out > MOST) fail(path, "has too many inputs or outputs");
  for (size_t i = 0; i < count_in + count_out; i++) {
    int is_input = i < count_in;
    size_t at = is_input ? i : i - count_in;
    LiteRtTensor tensor;
    LiteRtRankedTensorType type;
    LiteRtTensorBufferRequirements needed;
    done((is_input ? LiteRtGetSignatureInputTensorByIndex : LiteRtGetSignatureOutputTensorByIndex)(signature, at,
                                                                                                 &tensor),
         "tensor");
    done(LiteRtGetRankedTensorType(tensor, &type), "tensor");
    done((is_input ? LiteRtGetCompiledModelInputBufferRequirements : LiteRtGetCompiledModelOutputBufferRequirements)(
             compiled, 0, at, &needed),
         "buffer");
    done(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, needed,
                                                         is_input ? &buffers_in[at] : &buffers_out[at]),
         "buffer");
    describe(&type, is_input ? &tensors_in[at] : &tensors_out[at]);
  }
  *inputs = count_in;
  *outputs = count_out;
}

Tensor *model_input(size_t index) { return &tensors_in[index]; }

void model_run(void) {
  void *address;
  for (size_t i = 0; i < count_in; i++) {
    done(LiteRtLockTensorBuffer(buffers_in[i], &address, LITERT_WRITE), "input");
    memcpy(address, tensors_in[i].data, tensors_in[i].bytes);
    done(LiteRtUnlockTensorBuffer(buffers_in[i]), "input");
  }
  done(LiteRtRunCompiledModel(compiled, 0, count_in, buffers_in, count_out, buffers_out), "run");
  for (size_t i = 0; i < count_out; i++) {
    done(LiteRtLockTensorBuffer(buffers_out[i], &address, LITERT_READ), "output");
    memcpy(tensors_out[i].data, address, tensors_out[i].bytes);
    done(LiteRtUnlockTensorBuffer(buffers_out[i]), "output");
  }
}

const Tensor *model_output(size_t index) { return &tensors_out[index]; }
