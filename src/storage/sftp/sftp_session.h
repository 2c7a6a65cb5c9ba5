// File operations of one SFTP connection, in terms of paths: what SftpBackend is made of.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/sftp/sftp_connection.h"

namespace sevenfold::storage {

class SftpSession {
  public:
    using NameEntry = net::sftp::NameEntry;

    explicit SftpSession(SftpConnectionOptions options) : connection_(std::move(options)) {}

    SftpConnection& connection() { return connection_; }
    bool can_replace() const { return connection_.offers("posix-rename@openssh.com", "1"); }

    net::sftp::Attributes stat(const std::string& path, std::string_view what);
    // Writes a new file in full, synced where the server can. `exact_mode` is set whatever the
    // server's umask.
    void write_new(const std::string& path, ByteView body, uint32_t mode, bool exact_mode,
                   std::string_view what);
    // Reads `length` bytes, or everything without; sizes are checked before memory is taken.
    Bytes read(const std::string& path, uint64_t offset, std::optional<size_t> length,
               uint64_t limit, std::string_view what);
    // Replaces `to`.
    void rename(const std::string& from, const std::string& to, std::string_view what);
    void remove(const std::string& path, std::string_view what);
    // Makes folders, parents first; those that exist are fine. Returns the new ones.
    std::vector<std::string> make_dirs(const std::vector<std::string>& paths, uint32_t mode,
                                       std::string_view what);
    // Makes the names in a folder durable, where the server can.
    void sync_dir(const std::string& path, std::string_view what);
    // The entries of several folders, several at a time; each(index of the folder, entry) gets
    // every entry with its attributes. `missing(index)` is called for a folder that does not exist.
    void list(const std::vector<std::string>& paths,
              const std::function<void(size_t, const NameEntry&)>& each,
              const std::function<void(size_t)>& missing, std::string_view what);
    std::optional<uint64_t> free_space(const std::string& path);

  private:
    using Exchange = SftpConnection::Exchange;
    void write_body(Exchange& exchange, const std::string& handle, ByteView body,
                    std::string_view what);
    void read_body(Exchange& exchange, const std::string& handle, uint64_t offset,
                   MutableByteView out, std::string_view what);
    void list_batch(const std::vector<std::string>& paths, size_t first, size_t count,
                    const std::function<void(size_t, const NameEntry&)>& each,
                    const std::function<void(size_t)>& missing, std::string_view what);

    SftpConnection connection_;
    enum class DirSync { unknown, works, impossible };
    std::atomic<DirSync> dir_sync_{DirSync::unknown};
};

}  // namespace sevenfold::storage
