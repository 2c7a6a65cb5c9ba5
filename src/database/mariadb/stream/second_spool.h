// Where the second copy of the spool goes: a folder (of another disk or a mounted share), or a host
// over SFTP. What is written there is sealed; see sealed_spool.h.
#pragma once

#include <memory>
#include <string>

#include "core/bytes.h"
#include "crypto/cipher.h"
#include "database/mariadb/stream/sealed_spool.h"
#include "storage/sftp/sftp_connection.h"

namespace sevenfold::database::mariadb {

// One session: after an error it is of no use any more, and another one is opened. One thread.
class SpoolTarget {
  public:
    virtual ~SpoolTarget() = default;
    virtual std::string location() const = 0;
    // Bytes of a log file that belong at `offset`. On their way until sync().
    virtual void append(const std::string& incarnation, const std::string& file, uint64_t offset,
                        ByteView bytes) = 0;
    // What was appended of the file from `offset` on, also by earlier sessions, is void. On its way
    // until sync().
    virtual void cut(const std::string& incarnation, const std::string& file, uint64_t offset) = 0;
    // Everything appended and cut is durable there when it returns.
    virtual void sync() = 0;
    // Whether any session before this one wrote something of that file.
    virtual bool knows(const std::string& incarnation, const std::string& file) = 0;
    // To read or trim what is there; lives as long as this.
    virtual PartStore& parts() = 0;
};
// A part ends at this size, so that a reader can pass over what it has from elsewhere.
constexpr uint64_t kMaxPart = 16 << 20;

std::unique_ptr<SpoolTarget> open_folder_target(const std::string& folder,
                                                const crypto::CipherKey& key);
// `folder`: absolute or below the login folder. Error{unsupported} when the host does not offer
// fsync@openssh.com: it could not say when something is durable.
std::unique_ptr<SpoolTarget> open_sftp_target(const storage::SftpConnectionOptions& options,
                                              const std::string& folder,
                                              const crypto::CipherKey& key);

// To read or trim what is there, also on a host without fsync. A folder that is missing is empty.
std::unique_ptr<PartStore> open_sftp_parts(const storage::SftpConnectionOptions& options,
                                           const std::string& folder);

}  // namespace sevenfold::database::mariadb
