#include "database/mariadb/server/full_disk.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace sevenfold::database::mariadb {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr uint64_t kNothing = 64 << 10;  // less than a program can do anything with

}  // namespace

bool DiskWatch::is_full() const {
    struct statvfs info {};
    if (::statvfs(folder_.c_str(), &info) != 0) return false;
    auto blocks = static_cast<uint64_t>(::geteuid() == 0 ? info.f_bfree : info.f_bavail);
    return blocks * info.f_frsize < kNothing;
}

bool DiskWatch::stays_full() {
    auto now = std::chrono::steady_clock::now();
    if (!is_full()) {
        since_.reset();
        return false;
    }
    if (!since_) since_ = now;
    return now - *since_ >= kPatience;
}

bool DiskWatch::explains(std::string_view said) const {
    for (std::string_view text : {"No space left", "Errcode: 28", "errno: 28", "Disk is full"})
        if (said.find(text) != said.npos) return true;
    return is_full();
}

Error DiskWatch::error(const std::string& what) const {
    return {ErrorKind::no_space, fmt::format("{}: no space left in {}", what, folder_),
            "Make room there, or do it on another machine that reaches the places."};
}

}  // namespace sevenfold::database::mariadb
