// Lets ThreadSanitizer see librdkafka's threads. Linked into the test programs of the tsan preset
// only.
//
// librdkafka starts its threads by C11's thrd_create, which GCC 12's ThreadSanitizer does not know:
// the first allocation of such a thread ends the program. The definitions below stand before those
// of the C library and say the same by pthreads, which the sanitizer knows. In the C library the
// types of both families have one layout, which the assertions below hold to.

#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t) && sizeof(cnd_t) >= sizeof(pthread_cond_t));
static_assert(sizeof(thrd_t) == sizeof(pthread_t));

namespace {

int ResultOf(int error) {
  switch (error) {
    case 0:
      return thrd_success;
    case ENOMEM:
      return thrd_nomem;
    case ETIMEDOUT:
      return thrd_timedout;
    case EBUSY:
      return thrd_busy;
    default:
      return thrd_error;
  }
}

pthread_mutex_t* Of(mtx_t* mutex) { return reinterpret_cast<pthread_mutex_t*>(mutex); }
pthread_cond_t* Of(cnd_t* condition) { return reinterpret_cast<pthread_cond_t*>(condition); }

struct Start {
  thrd_start_t run;
  void* argument;
};

void* Run(void* opaque) {
  const Start start = *static_cast<Start*>(opaque);
  std::free(opaque);
  return reinterpret_cast<void*>(static_cast<intptr_t>(start.run(start.argument)));
}

}  // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t run, void* argument) {
  auto* start = static_cast<Start*>(std::malloc(sizeof(Start)));
  if (start == nullptr) return thrd_nomem;
  *start = {run, argument};
  const int error = pthread_create(thread, nullptr, Run, start);
  if (error != 0) std::free(start);
  return ResultOf(error);
}

int thrd_join(thrd_t thread, int* result) {
  void* returned = nullptr;
  const int error = pthread_join(thread, &returned);
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<intptr_t>(returned));
  return ResultOf(error);
}

int mtx_init(mtx_t* mutex, int type) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(
      &attributes, (type & mtx_recursive) != 0 ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
  const int error = pthread_mutex_init(Of(mutex), &attributes);
  pthread_mutexattr_destroy(&attributes);
  return ResultOf(error);
}

void mtx_destroy(mtx_t* mutex) { pthread_mutex_destroy(Of(mutex)); }
int mtx_lock(mtx_t* mutex) { return ResultOf(pthread_mutex_lock(Of(mutex))); }
int mtx_unlock(mtx_t* mutex) { return ResultOf(pthread_mutex_unlock(Of(mutex))); }

int cnd_init(cnd_t* condition) { return ResultOf(pthread_cond_init(Of(condition), nullptr)); }
void cnd_destroy(cnd_t* condition) { pthread_cond_destroy(Of(condition)); }
int cnd_signal(cnd_t* condition) { return ResultOf(pthread_cond_signal(Of(condition))); }
int cnd_broadcast(cnd_t* condition) { return ResultOf(pthread_cond_broadcast(Of(condition))); }

int cnd_wait(cnd_t* condition, mtx_t* mutex) {
  return ResultOf(pthread_cond_wait(Of(condition), Of(mutex)));
}

int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* until) {
  return ResultOf(pthread_cond_timedwait(Of(condition), Of(mutex), until));
}

}  // extern "C"
