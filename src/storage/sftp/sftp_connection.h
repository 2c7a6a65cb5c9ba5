// One SFTP session over a child process (ssh), shared by any number of threads.
//
// A reader thread hands each reply to the Exchange that asked. When the session breaks - the child
// ends, the server sends nonsense, or nothing moves for stall_timeout while somebody waits - every
// call throws the first failure from then on; whoever owns the connection makes a new one.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "core/time.h"
#include "net/sftp_codec.h"
#include "os/child_process.h"
#include "storage/limit_backend.h"

namespace sevenfold::storage {

struct SftpConnectionOptions {
    std::vector<std::string> command;  // argv of what talks SFTP on its stdin and stdout
    std::string location;              // for messages
    bool may_ask = false;              // it may ask on the terminal
    std::chrono::nanoseconds stall_timeout = std::chrono::seconds(60);
    std::function<void(const Time&)> on_server_time;  // see BackendOptions
    std::stop_token stop;                             // ends connecting with Error{interrupted}
    // Shape the file data that goes up and comes down; null: no limit.
    std::shared_ptr<TokenBucket> upload, download;
};

// Turns a status that is not `ok` into an Error naming `what`.
Error sftp_error(const net::sftp::Status& status, std::string_view what);

class SftpConnection {
  public:
    // Starts the child and agrees on the version.
    explicit SftpConnection(SftpConnectionOptions options);
    ~SftpConnection();
    SftpConnection(const SftpConnection&) = delete;
    SftpConnection& operator=(const SftpConnection&) = delete;

    bool failed() const { return failed_.load(); }
    bool offers(std::string_view extension, std::string_view data) const {
        return version_.offers(extension, data);
    }
    // Largest data of one read and write request.
    uint32_t read_size() const { return read_size_; }
    uint32_t write_size() const { return write_size_; }
    pid_t pid() const { return child_.pid(); }
    // Wait until so much file data may be sent or asked for.
    void pace_upload(size_t bytes) const {
        if (options_.upload) options_.upload->take(bytes);
    }
    void pace_download(size_t bytes) const {
        if (options_.download) options_.download->take(bytes);
    }

    // A reply that keeps its bytes alive.
    struct Packet {
        Bytes bytes;
        net::sftp::Reply reply() const { return net::sftp::parse_reply(bytes); }
    };

    // The requests of one operation. Used by one thread; replies nobody received are dropped.
    class Exchange {
      public:
        explicit Exchange(SftpConnection& connection) : connection_(connection) {}
        ~Exchange();
        Exchange(const Exchange&) = delete;
        Exchange& operator=(const Exchange&) = delete;

        // Sends a request whose fields `fill` writes; `data` follows as its last string, uncopied.
        template <class Fill>
        uint32_t send(net::sftp::PacketType type, Fill fill, ByteView data = {}) {
            uint32_t id = connection_.announce(*this);
            net::sftp::PacketWriter writer(type, id);
            fill(writer);
            connection_.transmit(writer.finish(data.size()), data);
            return id;
        }
        // Waits for the reply; each id once.
        Packet receive(uint32_t id);

        // receive() for the common replies; an error status becomes an Error naming `what`.
        net::sftp::Status status(uint32_t id, std::string_view what);
        void expect_ok(uint32_t id, std::string_view what);
        std::string handle(uint32_t id, std::string_view what);
        net::sftp::Attributes attributes(uint32_t id, std::string_view what);

      private:
        friend class SftpConnection;
        SftpConnection& connection_;
        std::condition_variable arrived_;
    };

  private:
    using Clock = std::chrono::steady_clock;
    struct Slot {
        Exchange* owner = nullptr;  // null: nobody wants the reply any more
        std::optional<Bytes> packet;
    };

    uint32_t announce(Exchange& owner);
    void transmit(const Bytes& head, ByteView data);
    Bytes wait_for_reply(Exchange& owner, uint32_t id);
    void abandon(Exchange& owner);
    void handshake();
    void learn_limits();
    bool read_more(Clock::time_point until);
    void wake_reader();
    void read_replies();
    void deliver(ByteView packet);
    Error connection_lost();
    void fail(const Error& error);
    void throw_if_failed();
    void note_progress() { last_progress_ = Clock::now().time_since_epoch().count(); }
    Clock::time_point stall_deadline() const {
        return Clock::time_point(Clock::duration(last_progress_.load())) + options_.stall_timeout;
    }
    Error stalled() const;

    const SftpConnectionOptions options_;
    os::ChildProcess child_;
    os::UniqueFd stop_;  // wakes whoever reads
    net::sftp::Deframer deframer_;
    net::sftp::Version version_;
    uint32_t read_size_ = 32 << 10, write_size_ = 32 << 10;  // every server must take these

    std::atomic<Clock::rep> last_progress_{0};
    std::atomic<bool> failed_{false}, stopping_{false};
    std::mutex write_mutex_;  // taken before mutex_ where both are
    std::mutex mutex_;        // guards what follows
    std::unordered_map<uint32_t, Slot> pending_;
    std::optional<Error> failure_;
    uint32_t next_id_ = 0;
    std::thread reader_;
};

}  // namespace sevenfold::storage
