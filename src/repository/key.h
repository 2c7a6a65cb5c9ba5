// Key files (format A.2): a password opens a key file, which holds the repository's master key.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/id.h"
#include "core/secret.h"
#include "core/time.h"
#include "crypto/cipher.h"
#include "storage/backend.h"

namespace sevenfold::repository {

struct KeyOptions {
    std::string username, hostname;           // for people; empty: this process's
    std::chrono::milliseconds kdf_time{500};  // tests use 0: N=1024, r=8, p=1
};

struct KeyInfo {
    Id id;
    Time created;
    std::string username, hostname;
    bool current = false;  // the one this process opened with
};

// Finds the key file that the password opens: the hinted one first, then all, up to max_keys.
// Throws wrong_password when none does, corrupt when a key file is damaged and none other opens.
struct OpenedKey {
    Id id;
    crypto::CipherKey master;
};
OpenedKey open_key(storage::Backend& backend, const Secret& password, std::optional<Id> hint,
                   size_t max_keys);

// Stores the master key under a new password. Durable on return.
Id add_key(storage::Backend& backend, const crypto::CipherKey& master, const Secret& password,
           const KeyOptions& options);
// Lists all key files; unreadable ones are reported through `damaged`.
std::vector<KeyInfo> list_keys(storage::Backend& backend, std::vector<Error>& damaged);
// Never removes `current`: Error{refused}.
void remove_key(storage::Backend& backend, const Id& id, const Id& current);

}  // namespace sevenfold::repository
