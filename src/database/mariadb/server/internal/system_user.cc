#include "database/mariadb/server/internal/system_user.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

namespace sevenfold::database::mariadb::internal {
namespace {

std::optional<User> look_up(const std::string& name) {
    std::vector<char> buffer(16384);
    passwd entry{};
    passwd* found = nullptr;
    int failure = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (failure != 0) throw errno_error("look up the user " + name, failure);
    if (found == nullptr) return std::nullopt;
    return User{entry.pw_uid, entry.pw_gid};
}

}  // namespace

std::optional<User> find_user(const std::string& name) {
    if (name.empty()) return std::nullopt;
    std::optional<User> user = look_up(name);
    if (!user)
        throw Error(ErrorKind::not_found, fmt::format("this machine has no user {}", name),
                    "It comes with Debian's package mariadb-server.");
    return user;
}

std::string default_user(const std::string& wanted) {
    if (!wanted.empty() || ::geteuid() != 0) return wanted;
    return look_up("mysql") ? "mysql" : "";
}

std::optional<User> server_user(const std::string& wanted, const std::string& data_dir) {
    if (::geteuid() != 0) return std::nullopt;
    if (!wanted.empty()) return find_user(wanted);
    struct stat status {};
    if (::stat(data_dir.c_str(), &status) != 0) throw errno_error("stat " + data_dir);
    if (status.st_uid == 0) return std::nullopt;
    return User{status.st_uid, status.st_gid};
}

}  // namespace sevenfold::database::mariadb::internal
