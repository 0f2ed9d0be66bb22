// Tells ThreadSanitizer what gRPC orders. Linked into the test programs of the tsan preset only.
//
// Debian's gRPC is built without ThreadSanitizer and hands work from thread to thread by lock-free
// queues, which the sanitizer cannot see. What holds for a user of gRPC is simpler: whatever a
// thread did before it started a batch is seen by the callback that the batch leads to. All of gRPC
// is one passage here: who starts a batch or drops a call enters it, who takes the next completion
// leaves it. That may order two calls that have nothing to do with each other, so a race between
// them may stay hidden; it never invents one.

#include <dlfcn.h>
#include <grpc/grpc.h>

#include <cstdio>
#include <cstdlib>

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}

namespace {

char passage = 0;

template <typename Function>
Function Next(const char* symbol) {
  void* const found = dlsym(RTLD_NEXT, symbol);
  if (found == nullptr) {
    std::fprintf(stderr, "grpc_tsan: the installed gRPC has no %s\n", symbol);
    std::abort();
  }
  return reinterpret_cast<Function>(found);
}

}  // namespace

extern "C" {

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* operations, size_t count,
                                      void* tag, void* reserved) {
  static const auto next = Next<decltype(&grpc_call_start_batch)>("grpc_call_start_batch");
  __tsan_release(&passage);
  return next(call, operations, count, tag, reserved);
}

void grpc_call_unref(grpc_call* call) {
  static const auto next = Next<decltype(&grpc_call_unref)>("grpc_call_unref");
  __tsan_release(&passage);
  next(call);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  static const auto next =
      Next<decltype(&grpc_completion_queue_next)>("grpc_completion_queue_next");
  const grpc_event event = next(queue, deadline, reserved);
  __tsan_acquire(&passage);
  return event;
}

}  // extern "C"
