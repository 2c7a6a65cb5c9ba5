#include "repository/key.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/check.h"
#include "core/error.h"
#include "core/log.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "repository/internal/key_file.h"
#include "repository/internal/process_identity.h"

namespace sevenfold::repository {
namespace {

using storage::FileName;
using storage::FileType;

constexpr uint64_t kMaxKeyFile = 64 << 10;  // real ones are about 500 bytes

std::string display(const Id& id) { return fmt::format("key {}", id.short_hex()); }

// Nothing when the file vanished after it was listed.
std::optional<Bytes> fetch(storage::Backend& backend, const Id& id) try {
    return backend.load_all({FileType::key, id}, kMaxKeyFile);
} catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) return std::nullopt;
    throw error.with_context(display(id));
}

std::vector<Id> listed(storage::Backend& backend) {
    std::vector<Id> ids;
    backend.list(FileType::key, [&](const storage::FileInfo& file) { ids.push_back(file.id); });
    std::sort(ids.begin(), ids.end());
    return ids;
}

// The master key when the password opens this key file; nothing when it is another password.
// Throws Error{corrupt} or {unsupported} when the file is no good.
std::optional<crypto::CipherKey> try_key(ByteView file, const Id& id, const Secret& password) {
    KeyFile key = decode_key_file(file, display(id));
    crypto::Cipher cipher(crypto::derive_key(password, key.salt, key.scrypt));
    Bytes json;
    if (!cipher.open(key.data, json)) {
        // A damaged envelope looks the same as a wrong password. The name tells them apart.
        if (crypto::sha256(file) != id)
            throw Error(ErrorKind::corrupt, display(id) + ": its content does not match its name");
        return std::nullopt;
    }
    struct Wipe {
        Bytes& bytes;
        ~Wipe() { wipe(bytes.data(), bytes.size()); }
    } wiper{json};
    try {
        return decode_master_key(json);
    } catch (const Error& error) {
        throw error.with_context(display(id));
    }
}

// Collects what went wrong until a key opens.
class KeySearch {
  public:
    KeySearch(storage::Backend& backend, const Secret& password)
        : backend_(backend), password_(password) {}

    std::optional<OpenedKey> attempt(const Id& id) {
        try {
            std::optional<Bytes> file = fetch(backend_, id);
            if (!file) return std::nullopt;
            ++tried_;
            if (auto master = try_key(*file, id, password_)) return OpenedKey{id, *master};
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported) throw;
            damaged_.push_back(error);
        }
        return std::nullopt;
    }

    size_t tried() const { return tried_; }

    [[noreturn]] void give_up(bool stopped_early) const {
        if (tried_ == 0 && damaged_.empty())
            throw Error(ErrorKind::corrupt,
                        fmt::format("the repository at {} has no keys", backend_.location()),
                        "Without its key files a repository cannot be opened; copy the folder "
                        "\"keys\" back from a copy of it.");
        if (!damaged_.empty())
            throw Error(ErrorKind::corrupt,
                        fmt::format("{}, and none of the other keys opens with this password",
                                    damaged_.front().message()),
                        "Check the password; if it is right, copy the folder \"keys\" back from a "
                        "copy of the repository.");
        throw Error(ErrorKind::wrong_password,
                    stopped_early ? fmt::format("wrong password, or its key is not among the {} "
                                                "that were tried",
                                                tried_)
                                  : "wrong password, or no key for it",
                    stopped_early ? "Say which key to use with --key-hint."
                                  : "Check the password file or command of this place.");
    }

  private:
    storage::Backend& backend_;
    const Secret& password_;
    size_t tried_ = 0;
    std::vector<Error> damaged_;
};

}  // namespace

OpenedKey open_key(storage::Backend& backend, const Secret& password, std::optional<Id> hint,
                   size_t max_keys) {
    KeySearch search(backend, password);
    if (hint) {
        if (auto key = search.attempt(*hint)) return *key;
    }
    bool stopped_early = false;
    for (const Id& id : listed(backend)) {
        if (hint && id == *hint) continue;
        if (max_keys > 0 && search.tried() >= max_keys) {
            stopped_early = true;
            break;
        }
        if (auto key = search.attempt(id)) return *key;
    }
    search.give_up(stopped_early);
}

Id add_key(storage::Backend& backend, const crypto::CipherKey& master, const Secret& password,
           const KeyOptions& options) {
    if (password.empty())
        throw Error(ErrorKind::usage, "an empty password is not a password",
                    "Give the new key a password.");
    CHECK(master.valid());
    KeyFile key;
    key.created = Clock::system().now();
    key.username = options.username.empty() ? this_username() : options.username;
    key.hostname = options.hostname.empty() ? this_hostname() : options.hostname;
    key.scrypt = options.kdf_time.count() == 0 ? crypto::ScryptParameters{1024, 8, 1}
                                               : crypto::calibrate_scrypt(options.kdf_time);
    key.salt.resize(kSaltSize);
    crypto::random_bytes(key.salt);
    crypto::Cipher cipher(crypto::derive_key(password, key.salt, key.scrypt));
    Bytes json = encode_master_key(master);
    key.data = cipher.seal(json);
    wipe(json.data(), json.size());

    // What cannot be opened again must not be stored: it may become the only key.
    std::string file = encode_key_file(key);
    Id id = crypto::sha256(as_bytes(file));
    KeyFile copy = decode_key_file(as_bytes(file), display(id));
    CHECK(copy.salt == key.salt && copy.scrypt.n == key.scrypt.n && copy.scrypt.r == key.scrypt.r &&
          copy.scrypt.p == key.scrypt.p);
    CHECK(cipher.open(copy.data, json) && decode_master_key(json) == master);
    wipe(json.data(), json.size());

    backend.store({FileType::key, id}, as_bytes(file));
    if (as_text(backend.load_all({FileType::key, id})) != file)
        throw Error(ErrorKind::io,
                    fmt::format("{} reads back differently than it was stored", display(id)),
                    "The storage at this place is not reliable; check it before you use it.");
    return id;
}

std::vector<KeyInfo> list_keys(storage::Backend& backend, std::vector<Error>& damaged) {
    std::vector<KeyInfo> keys;
    for (const Id& id : listed(backend)) {
        try {
            std::optional<Bytes> file = fetch(backend, id);
            if (!file) continue;
            KeyFile key = decode_key_file(*file, display(id));
            if (crypto::sha256(*file) != id)
                throw Error(ErrorKind::corrupt,
                            display(id) + ": its content does not match its name");
            keys.push_back({id, key.created, key.username, key.hostname, false});
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported) throw;
            damaged.push_back(error);
        }
    }
    return keys;
}

void remove_key(storage::Backend& backend, const Id& id, const Id& current) {
    if (id == current)
        throw Error(ErrorKind::refused,
                    fmt::format("{} is the one that this repository was opened with", display(id)),
                    "Open it with another password to remove this key.");
    try {
        backend.remove({FileType::key, id});
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw error.with_context(display(id));
        throw Error(ErrorKind::not_found, fmt::format("there is no {}", display(id)),
                    "`sevenfold repo key list` lists them.");
    }
}

}  // namespace sevenfold::repository
