/* The part of LiteRT's C API that litert.c calls, as libLiteRt.so has it since 2.1.

   The API is Copyright Google LLC, Apache License 2.0: LICENSES/Apache-2.0.txt. The whole headers:
   https://github.com/google-ai-edge/LiteRT, litert/c */
#ifndef LITERT_API_H
#define LITERT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int LiteRtStatus; /* 0 is success */
typedef struct LiteRtEnvironmentT *LiteRtEnvironment;
typedef struct LiteRtModelT *LiteRtModel;
typedef struct LiteRtOptionsT *LiteRtOptions;
typedef struct LiteRtCompiledModelT *LiteRtCompiledModel;
typedef struct LiteRtSignatureT *LiteRtSignature;
typedef struct LiteRtTensorT *LiteRtTensor;
typedef struct LiteRtTensorBufferT *LiteRtTensorBuffer;
typedef struct LiteRtTensorBufferRequirementsT *LiteRtTensorBufferRequirements;
typedef size_t LiteRtParamIndex;

enum { LITERT_CPU = 1 };              /* hardware accelerators, a bit each */
enum { LITERT_READ = 0, LITERT_WRITE = 1 }; /* lock modes */
enum { LITERT_FLOAT32 = 1, LITERT_INT32 = 2, LITERT_UINT8 = 3, LITERT_INT64 = 4, LITERT_BOOL = 6, LITERT_INT8 = 9 };

typedef struct {
  int element_type;
  struct {
    unsigned int rank : 7;
    bool has_strides : 1;
    int32_t dimensions[8];
    uint32_t strides[8];
  } layout;
} LiteRtRankedTensorType;

LiteRtStatus LiteRtCreateEnvironment(int option_count, const void *options, LiteRtEnvironment *out);
LiteRtStatus LiteRtCreateModelFromFile(LiteRtEnvironment, const char *path, LiteRtModel *out);
LiteRtStatus LiteRtCreateOptions(LiteRtOptions *out);
LiteRtStatus LiteRtSetOptionsHardwareAccelerators(LiteRtOptions, int accelerators);
LiteRtStatus LiteRtCreateCompiledModel(LiteRtEnvironment, LiteRtModel, LiteRtOptions, LiteRtCompiledModel *out);
LiteRtStatus LiteRtGetModelSignature(LiteRtModel, LiteRtParamIndex index, LiteRtSignature *out);
LiteRtStatus LiteRtGetNumSignatureInputs(LiteRtSignature, LiteRtParamIndex *out);
LiteRtStatus LiteRtGetNumSignatureOutputs(LiteRtSignature, LiteRtParamIndex *out);
LiteRtStatus LiteRtGetSignatureInputTensorByIndex(LiteRtSignature, LiteRtParamIndex index, LiteRtTensor *out);
LiteRtStatus LiteRtGetSignatureOutputTensorByIndex(LiteRtSignature, LiteRtParamIndex index, LiteRtTensor *out);
LiteRtStatus LiteRtGetRankedTensorType(LiteRtTensor, LiteRtRankedTensorType *out);
LiteRtStatus LiteRtGetCompiledModelInputBufferRequirements(LiteRtCompiledModel, LiteRtParamIndex signature,
                                                           LiteRtParamIndex index,
                                                           LiteRtTensorBufferRequirements *out);
LiteRtStatus LiteRtGetCompiledModelOutputBufferRequirements(LiteRtCompiledModel, LiteRtParamIndex signature,
                                                            LiteRtParamIndex index,
                                                            LiteRtTensorBufferRequirements *out);
LiteRtStatus LiteRtCreateManagedTensorBufferFromRequirements(LiteRtEnvironment, const LiteRtRankedTensorType *,
                                                             LiteRtTensorBufferRequirements, LiteRtTensorBuffer *out);
LiteRtStatus LiteRtLockTensorBuffer(LiteRtTensorBuffer, void **address, int mode);
LiteRtStatus LiteRtUnlockTensorBuffer(LiteRtTensorBuffer);
LiteRtStatus LiteRtRunCompiledModel(LiteRtCompiledModel, LiteRtParamIndex signature, size_t input_count,
                                    LiteRtTensorBuffer *inputs, size_t output_count, LiteRtTensorBuffer *outputs);

#endif
