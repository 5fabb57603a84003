/* The part of onnxruntime's C API that onnxruntime.c calls, of its version 1, which every later library serves.

   OrtApi is a table of functions whose places never change; those that are not called are left out by their number.
   The API is Copyright (c) Microsoft Corporation, MIT licence: LICENSES/MIT.txt. The whole header:
   https://github.com/microsoft/onnxruntime, include/onnxruntime/core/session/onnxruntime_c_api.h */
#ifndef ONNXRUNTIME_API_H
#define ONNXRUNTIME_API_H

#include <stddef.h>
#include <stdint.h>

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtValue OrtValue;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;

enum { ORT_FLOAT = 1, ORT_UINT8 = 2, ORT_INT8 = 3, ORT_INT32 = 6, ORT_INT64 = 7, ORT_BOOL = 9 }; /* element types */
enum { ORT_LOG_ERROR = 3 };                  /* log level */
enum { ORT_DEVICE_ALLOCATOR = 0 };           /* allocator type */
enum { ORT_MEM_DEFAULT = 0 };                /* memory type */

typedef struct OrtApi {
  void *left_out_0[2];
  const char *(*GetErrorMessage)(const OrtStatus *status);                                                   /* 2 */
  OrtStatus *(*CreateEnv)(int log_level, const char *log_id, OrtEnv **out);                                  /* 3 */
  void *left_out_4[3];
  OrtStatus *(*CreateSession)(const OrtEnv *, const char *path, const OrtSessionOptions *, OrtSession **out); /* 7 */
  void *left_out_8[1];
  OrtStatus *(*Run)(OrtSession *, const OrtRunOptions *, const char *const *input_names,
                    const OrtValue *const *inputs, size_t input_count, const char *const *output_names,
                    size_t output_count, OrtValue **outputs);                                                /* 9 */
  OrtStatus *(*CreateSessionOptions)(OrtSessionOptions **out);                                               /* 10 */
  void *left_out_11[13];
  OrtStatus *(*SetIntraOpNumThreads)(OrtSessionOptions *, int threads);                                      /* 24 */
  void *left_out_25[5];
  OrtStatus *(*SessionGetInputCount)(const OrtSession *, size_t *out);                                       /* 30 */
  OrtStatus *(*SessionGetOutputCount)(const OrtSession *, size_t *out);                                      /* 31 */
  void *left_out_32[1];
  OrtStatus *(*SessionGetInputTypeInfo)(const OrtSession *, size_t index, OrtTypeInfo **out);                /* 33 */
  void *left_out_34[2];
  OrtStatus *(*SessionGetInputName)(const OrtSession *, size_t index, OrtAllocator *, char **out);           /* 36 */
  OrtStatus *(*SessionGetOutputName)(const OrtSession *, size_t index, OrtAllocator *, char **out);          /* 37 */
  void *left_out_38[11];
  OrtStatus *(*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo *, void *data, size_t bytes, const int64_t *shape,
                                               size_t rank, int element_type, OrtValue **out);               /* 49 */
  void *left_out_50[1];
  OrtStatus *(*GetTensorMutableData)(OrtValue *, void **out);                                                /* 51 */
  void *left_out_52[3];
  OrtStatus *(*CastTypeInfoToTensorInfo)(const OrtTypeInfo *, const OrtTensorTypeAndShapeInfo **out);        /* 55 */
  void *left_out_56[4];
  OrtStatus *(*GetTensorElementType)(const OrtTensorTypeAndShapeInfo *, int *out);                           /* 60 */
  OrtStatus *(*GetDimensionsCount)(const OrtTensorTypeAndShapeInfo *, size_t *out);                          /* 61 */
  OrtStatus *(*GetDimensions)(const OrtTensorTypeAndShapeInfo *, int64_t *shape, size_t rank);               /* 62 */
  void *left_out_63[1];
  OrtStatus *(*GetTensorShapeElementCount)(const OrtTensorTypeAndShapeInfo *, size_t *out);                  /* 64 */
  OrtStatus *(*GetTensorTypeAndShape)(const OrtValue *, OrtTensorTypeAndShapeInfo **out);                    /* 65 */
  void *left_out_66[3];
  OrtStatus *(*CreateCpuMemoryInfo)(int allocator_type, int memory_type, OrtMemoryInfo **out);               /* 69 */
  void *left_out_70[8];
  OrtStatus *(*GetAllocatorWithDefaultOptions)(OrtAllocator **out);                                          /* 78 */
  void *left_out_79[17];
  void (*ReleaseValue)(OrtValue *);                                                                          /* 96 */
  void *left_out_97[1];
  void (*ReleaseTypeInfo)(OrtTypeInfo *);                                                                    /* 98 */
  void (*ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo *);                                        /* 99 */
} OrtApi;

_Static_assert(offsetof(OrtApi, ReleaseTensorTypeAndShapeInfo) == 99 * sizeof(void *), "each function has its place");

typedef struct OrtApiBase {
  const OrtApi *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
} OrtApiBase;

const OrtApiBase *OrtGetApiBase(void);

#endif
