#include "os/user_names.h"

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <mutex>
#include <vector>

namespace sevenfold::os {
namespace {

// `ask` is getpwuid_r or getgrgid_r, `field` the name in their record. The buffer grows until the
// record fits (groups with many members are long); any other failure counts as unknown.
template <class Record, class Number, class Ask>
std::string look_up(Number number, Ask ask, char* Record::*field) {
    constexpr size_t kLargest = 4 << 20;
    Record record{};
    Record* found = nullptr;
    for (size_t size = 4096; size <= kLargest; size *= 4) {
        std::vector<char> buffer(size);
        int failure;
        do failure = ask(number, &record, buffer.data(), buffer.size(), &found);
        while (failure == EINTR);
        if (failure == ERANGE) continue;
        return failure == 0 && found && found->*field ? found->*field : "";
    }
    return "";
}

template <class Number, class LookUp>
const std::string& remembered(std::shared_mutex& mutex,
                              std::unordered_map<Number, std::string>& names, Number number,
                              LookUp look_up_name) {
    {
        std::shared_lock lock(mutex);
        if (auto it = names.find(number); it != names.end()) return it->second;
    }
    std::string name = look_up_name();
    std::lock_guard lock(mutex);
    return names.emplace(number, std::move(name)).first->second;
}

}  // namespace

const std::string& UserNames::user_name(uid_t uid) {
    return remembered(mutex_, users_, uid,
                      [&] { return look_up<passwd>(uid, ::getpwuid_r, &passwd::pw_name); });
}

const std::string& UserNames::group_name(gid_t gid) {
    return remembered(mutex_, groups_, gid,
                      [&] { return look_up<group>(gid, ::getgrgid_r, &group::gr_name); });
}

}  // namespace sevenfold::os
