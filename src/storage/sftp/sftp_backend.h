// A repository in a folder of an SFTP server, laid out as restic's sftp backend does.
//
// One ssh connection carries everything, several operations at once, each with many requests under
// way. After the connection broke, the operation that noticed fails with network or timeout and the
// next one connects anew.
//
// Durability: where the server offers fsync@openssh.com, files are synced before the rename and the
// folder after it (OpenSSH can); elsewhere it is the server's own. As with the local backend, the
// removal of packs and locks is not synced. A server without posix-rename@openssh.com cannot
// replace a file atomically. Temporary files are "<name>-tmp-<random>"; those that a broken
// connection left are removed after the next connect, those that killed runs left more than a day
// ago at the first store into their folder.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/backend.h"
#include "storage/layout.h"
#include "storage/open.h"
#include "storage/sftp/sftp_session.h"

namespace sevenfold::storage {

class SftpBackend : public Backend {
  public:
    // `path`: the repository's folder, absolute or relative to the login folder.
    SftpBackend(std::string path, SftpConnectionOptions options);
    ~SftpBackend() override;

    std::string location() const override { return options_.location; }
    Capabilities capabilities() const override;
    void create() override;
    void store(const FileName& name, ByteView body) override;
    Bytes load(const FileName& name, uint64_t offset, size_t length) override;
    Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX) override;
    uint64_t size(const FileName& name) override;
    // not_found when the repository's own folder is missing.
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override;
    void remove(const FileName& name) override;
    std::optional<uint64_t> free_space() override;

    // The process id of the child of the connection that stands, 0 without; for tests.
    pid_t connection_pid();

  private:
    // A connection and what was learned when it was made.
    struct Session : SftpSession {
        using SftpSession::SftpSession;
        uint32_t file_mode = 0600, dir_mode = 0700;
        bool group = false;  // config is readable by its group
    };
    std::shared_ptr<Session> session();
    std::shared_ptr<Session> connect();
    template <class Operation>
    auto perform(std::string_view what, Operation operation);
    std::string dir_of(const FileName& name) const;
    std::string path_of(const FileName& name) const;
    std::string what(const FileName& name) const;
    void sync_parent(Session& session, const std::string& dir);
    void remove_old_leftovers(Session& session, const FileName& name);
    void store_as(Session& session, const FileName& name, const std::string& temporary,
                  ByteView body);
    Bytes read(const FileName& name, uint64_t offset, std::optional<size_t> length, uint64_t limit);

    const std::string path_;
    const SftpConnectionOptions options_;
    std::mutex connect_mutex_;  // held while connecting: the others wait for the same connection
    // Shared, because operations under way keep a broken session while others have a new one.
    std::shared_ptr<Session> session_;
    StoredInto stored_into_;
    std::mutex leftover_mutex_;
    std::vector<std::string> leftovers_;  // temporary files to remove after the next connect
    std::atomic<bool> atomic_replace_{true};
};

// How to talk to an sftp: location.
SftpConnectionOptions sftp_connection_options(const Location& location,
                                              const BackendOptions& options, const Limits& limits);

}  // namespace sevenfold::storage
