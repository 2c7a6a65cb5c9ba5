#include "storage/rest_server/users.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/log.h"
#include "core/secret.h"
#include "crypto/bcrypt.h"
#include "crypto/hmac.h"
#include "crypto/random.h"
#include "os/file.h"

namespace sevenfold::storage {
namespace {

constexpr std::chrono::minutes kRemembered{1};
constexpr std::chrono::seconds kLookEvery{1};
constexpr size_t kMostRemembered = 10'000, kLargestFile = 4 << 20;

std::pair<int64_t, int64_t> stamp_of(const std::string& path) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) return {};
    return {st.st_mtim.tv_sec, st.st_mtim.tv_nsec ^ static_cast<int64_t>(st.st_ino)};
}

// "user:password" of "Basic <base64>".
Secret credentials_of(std::string_view authorization) {
    constexpr std::string_view kScheme = "basic ";
    if (authorization.size() < kScheme.size() || authorization.size() > 1024) return {};
    for (size_t i = 0; i < kScheme.size(); ++i)
        if ((authorization[i] | 0x20) != kScheme[i]) return {};
    try {
        Bytes decoded = from_base64(authorization.substr(kScheme.size()));
        Secret secret(as_text(decoded));
        wipe(decoded.data(), decoded.size());
        return secret;
    } catch (const Error&) {
        return {};
    }
}

}  // namespace

Users::Users(std::string path)
    : path_(std::move(path)), key_(32), decoy_(crypto::bcrypt_hash("decoy", 10)) {
    crypto::random_bytes(key_);
    stamp_ = stamp_of(path_);
    table_ = load(path_);
    looked_ = Steady::now();
}

std::shared_ptr<const Users::Table> Users::load(const std::string& path) {
    auto table = std::make_shared<Table>();
    Bytes text = os::read_file(path, kLargestFile);
    std::string_view rest = as_text(text);
    for (int number = 1; !rest.empty(); ++number) {
        size_t end = std::min(rest.find('\n'), rest.size());
        std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
        if (line.empty() || line[0] == '#') continue;
        size_t colon = line.find(':');
        std::string_view hash = colon == line.npos ? "" : line.substr(colon + 1);
        if (colon == 0 || !crypto::is_bcrypt_hash(hash))
            throw Error(ErrorKind::config,
                        fmt::format("{}:{}: not a user with a bcrypt hash", path, number),
                        "Write the line with `htpasswd -B` or `sevenfold serve --hash-password`.");
        table->hashes.insert_or_assign(std::string(line.substr(0, colon)), std::string(hash));
    }
    return table;
}

std::shared_ptr<const Users::Table> Users::table() {
    std::lock_guard lock(mutex_);
    auto now = Steady::now();
    if (now - looked_ < kLookEvery) return table_;
    looked_ = now;
    auto stamp = stamp_of(path_);
    if (stamp == stamp_) return table_;
    stamp_ = stamp;
    try {
        table_ = load(path_);
        good_.clear();
        log_info("{} was read anew: {} users", path_, table_->hashes.size());
    } catch (const Error& error) {
        log_warning("the former users stay: {}", error.message());
    }
    return table_;
}

std::string Users::check(std::string_view authorization) {
    Secret pair = credentials_of(authorization);
    std::string_view text = pair.reveal();
    size_t colon = text.find(':');
    if (colon == text.npos || colon == 0) return {};
    std::string name(text.substr(0, colon));
    auto users = table();
    auto entry = users->hashes.find(name);
    const std::string& hash = entry == users->hashes.end() ? decoy_ : entry->second;
    // With the stored hash in it: a changed password counts at once.
    Secret whole(fmt::format("{}\n{}", hash, text));
    Id mark = crypto::hmac_sha256(key_, as_bytes(whole.reveal()));
    {
        std::lock_guard lock(mutex_);
        auto known = good_.find(mark);
        if (known != good_.end() && known->second > Steady::now()) return name;
    }
    tries_.acquire();
    bool good = false;
    try {
        good = crypto::bcrypt_matches(text.substr(colon + 1), hash);
    } catch (...) {
        tries_.release();
        throw;
    }
    tries_.release();
    if (!good || entry == users->hashes.end()) return {};
    std::lock_guard lock(mutex_);
    if (good_.size() >= kMostRemembered) good_.clear();
    good_[mark] = Steady::now() + kRemembered;
    return name;
}

}  // namespace sevenfold::storage
