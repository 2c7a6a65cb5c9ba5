#include "storage/rest_server/quotas.h"

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "storage/rest_server/rest_path.h"

namespace sevenfold::storage {
namespace {

uint64_t bytes_below(const std::string& folder) {
    namespace fs = std::filesystem;
    std::error_code failure;
    fs::recursive_directory_iterator at(folder, failure), end;
    if (failure == std::errc::no_such_file_or_directory) return 0;
    uint64_t bytes = 0;
    while (!failure && at != end) {
        std::error_code gone;  // files may vanish meanwhile
        if (at->is_regular_file(gone))
            if (uint64_t size = at->file_size(gone); !gone) bytes += size;
        at.increment(failure);
    }
    if (failure) throw errno_error("look through " + folder, failure.value());
    return bytes;
}

}  // namespace

void Quotas::add(const std::string& root, const std::string& folder, uint64_t limit) {
    uint64_t used = bytes_below(root + folder);
    std::lock_guard lock(mutex_);
    for (Quota& quota : quotas_)
        if (quota.folder == folder) {
            quota.limit = std::min(quota.limit, limit);
            return;
        }
    quotas_.push_back({folder, limit, used});
}

bool Quotas::take(std::string_view repository, uint64_t bytes) {
    std::lock_guard lock(mutex_);
    for (const Quota& quota : quotas_)
        if (is_below(repository, quota.folder) &&
            (quota.used > quota.limit || bytes > quota.limit - quota.used))
            return false;
    for (Quota& quota : quotas_)
        if (is_below(repository, quota.folder)) quota.used += bytes;
    return true;
}

void Quotas::give_back(std::string_view repository, uint64_t bytes) {
    std::lock_guard lock(mutex_);
    for (Quota& quota : quotas_)
        if (is_below(repository, quota.folder)) quota.used -= std::min(quota.used, bytes);
}

std::vector<Quotas::Quota> Quotas::state() const {
    std::lock_guard lock(mutex_);
    return quotas_;
}

}  // namespace sevenfold::storage
