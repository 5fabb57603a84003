/* Run an ONNX file: cc -O2 main.c onnxruntime.c -o run -lonnxruntime -lm */
#ifdef _WIN32
#error "this runner is for POSIX systems: onnxruntime takes paths of wchar_t on Windows"
#endif

#include <stdlib.h>

#include "model.h"
#include "onnxruntime_api.h"

enum { MOST = 64 }; /* inputs, outputs and axes */

static const OrtApi *api;
static OrtSession *session;
static OrtValue *values_in[MOST], *values_out[MOST];
static char *names_in[MOST], *names_out[MOST];
static Tensor tensors_in[MOST], tensors_out[MOST];
static size_t count_in, count_out;

static void done(OrtStatus *status) {
  if (status) fail("onnxruntime", api->GetErrorMessage(status));
}

static Type type_of(int element, size_t *size) {
  *size = element == ORT_INT64 ? 8 : element == ORT_FLOAT || element == ORT_INT32 ? 4 : 1;
  switch (element) {
    case ORT_FLOAT: return FLOAT32;
    case ORT_UINT8: return UINT8;
    case ORT_INT8: return INT8;
    case ORT_INT32: return INT32;
    case ORT_INT64: return INT64;
    case ORT_BOOL: return BOOL;
    default: fail("model", "a tensor of a type that this runner does not know"); return BOOL;
  }
}

static void describe(const OrtTensorTypeAndShapeInfo *info, Tensor *tensor, int *element) {
  size_t count, size;
  done(api->GetTensorElementType(info, element));
  done(api->GetTensorShapeElementCount(info, &count));
  tensor->type = type_of(*element, &size);
  tensor->bytes = count * size;
}

void model_load(const char *path, int threads, size_t *inputs, size_t *outputs) {
  OrtEnv *environment;
  OrtSessionOptions *options;
  OrtMemoryInfo *memory;
  OrtAllocator *allocator;
  api = OrtGetApiBase()->GetApi(1);
  done(api->CreateEnv(ORT_LOG_ERROR, "run", &environment));
  done(api->CreateSessionOptions(&options));
  done(api->SetIntraOpNumThreads(options, threads));
  done(api->CreateSession(environment, path, options, &session));
  done(api->CreateCpuMemoryInfo(ORT_DEVICE_ALLOCATOR, ORT_MEM_DEFAULT, &memory));
  done(api->GetAllocatorWithDefaultOptions(&allocator));
  done(api->SessionGetInputCount(session, &count_in));
  done(api->SessionGetOutputCount(session, &count_out));
  if (count_in > MOST || count_out > MOST) fail(path, "has too many inputs or outputs");
  for (size_t i = 0; i < count_out; i++) done(api->SessionGetOutputName(session, i, allocator, &names_out[i]));
  for (size_t i = 0; i < count_in; i++) {
    OrtTypeInfo *type;
    const OrtTensorTypeAndShapeInfo *info;
    int64_t shape[MOST];
    size_t rank;
    int element;
    done(api->SessionGetInputName(session, i, allocator, &names_in[i]));
    done(api->SessionGetInputTypeInfo(session, i, &type));
    done(api->CastTypeInfoToTensorInfo(type, &info));
    done(api->GetDimensionsCount(info, &rank));
    if (rank > MOST) fail(path, "has an input of too many axes");
    done(api->GetDimensions(info, shape, rank));
    for (size_t axis = 0; axis < rank; axis++)
      if (shape[axis] < 1) fail(path, "has an input whose size is open");
    describe(info, &tensors_in[i], &element);
    if (!(tensors_in[i].data = calloc(1, tensors_in[i].bytes))) fail(path, "no memory for its inputs");
    done(api->CreateTensorWithDataAsOrtValue(memory, tensors_in[i].data, tensors_in[i].bytes, shape, rank, element,
                                             &values_in[i]));
    api->ReleaseTypeInfo(type);
  }
  *inputs = count_in;
  *outputs = count_out;
}

Tensor *model_input(size_t index) { return &tensors_in[index]; }

void model_run(void) {
  for (size_t i = 0; i < count_out; i++) {
    if (values_out[i]) api->ReleaseValue(values_out[i]);
    values_out[i] = NULL;
  }
  done(api->Run(session, NULL, (const char *const *)names_in, (const OrtValue *const *)values_in, count_in,
                (const char *const *)names_out, count_out, values_out));
}

const Tensor *model_output(size_t index) {
  OrtTensorTypeAndShapeInfo *info;
  int element;
  done(api->GetTensorTypeAndShape(values_out[index], &info));
  describe(info, &tensors_out[index], &element);
  api->ReleaseTensorTypeAndShapeInfo(info);
  done(api->GetTensorMutableData(values_out[index], &tensors_out[index].data));
  return &tensors_out[index];
}
