#include "core/secret.h"

#include <cstring>

namespace sevenfold {

void wipe(void* data, size_t size) {
    if (size != 0) explicit_bzero(data, size);
}

}  // namespace sevenfold
