#include "database/mariadb/source/source.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <list>
#include <thread>

#include "core/log.h"
#include "crypto/random.h"
#include "database/mariadb/source/internal/dump.h"
#include "database/mariadb/source/internal/session.h"

namespace sevenfold::database::mariadb::source {
namespace {

constexpr size_t kMaxClients = 16;
constexpr std::chrono::seconds kLoginPatience{3};
constexpr std::chrono::hours kCommandPatience{24};
constexpr uint16_t kAccessDenied = 1045, kUnknownCommand = 1047, kMasterFatal = 1236;

os::UniqueFd listen_on_loopback(uint16_t& port) {
    os::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (!fd.valid() || ::bind(fd.get(), generic, size) != 0 || ::listen(fd.get(), SOMAXCONN) != 0 ||
        ::getsockname(fd.get(), generic, &size) != 0)
        throw errno_error("a port for the replication source");
    port = ntohs(address.sin_port);
    return fd;
}

// The replica asks for nanoseconds.
std::chrono::milliseconds heartbeat_period(const Session& session) {
    constexpr std::chrono::milliseconds kLeast{100};
    uint64_t nanoseconds = session.number("master_heartbeat_period");
    if (nanoseconds == 0) return std::chrono::milliseconds(0);
    return std::max(kLeast, std::chrono::milliseconds(nanoseconds / 1'000'000));
}

}  // namespace

class ReplicationSource::Impl {
  public:
    Impl(const LogArchive& archive, const PlanOptions& options, uint64_t window)
        : archive_(archive),
          edits_(options),
          planned_(plan_series(archive, options, edits_)),
          window_(window),
          user_(std::string(kUserPrefix) + crypto::random_password(12)),
          password_(crypto::random_password(32)) {
        // Ids of archived servers are small by custom; ours must differ from all of them.
        do {
            server_id_ = 0x80000000u | static_cast<uint32_t>(crypto::random_u64());
        } while (planned_.plan.servers.contains(server_id_));
        version_ = LogFileReader(archive, planned_.files[planned_.files.size() - 1].segment)
                       .format()
                       .server_version;
        listener_ = listen_on_loopback(port_);
        acceptor_ = std::jthread([this](const std::stop_token& stop) { accept_clients(stop); });
    }

    ~Impl() {
        acceptor_.request_stop();
        acceptor_.join();
        for (Client& client : clients_) end(client);
    }

    const Plan& plan() const { return planned_.plan; }

    const LogArchive& archive_;
    Edits edits_;
    const PlannedSeries planned_;
    Window window_;
    const std::string user_;
    const Secret password_;
    uint32_t server_id_ = 0;
    uint16_t port_ = 0;
    mutable std::mutex mutex_;  // for the two below
    SourceStats stats_;
    std::optional<Error> failure_;

  private:
    struct Client {
        explicit Client(os::UniqueFd fd) : socket(std::move(fd)) {}
        PacketSocket socket;
        std::atomic<bool> done = false;
        std::jthread thread;
    };

    static void end(Client& client) {
        client.thread.request_stop();
        client.socket.shut_down();
        client.thread.join();
    }

    void accept_clients(const std::stop_token& stop) {
        uint32_t number = 0;
        while (!stop.stop_requested()) {
            pollfd wait{listener_.get(), POLLIN, 0};
            ::poll(&wait, 1, 50);
            clients_.remove_if([](Client& client) { return client.done.load(); });
            os::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!fd.valid() || clients_.size() >= kMaxClients) continue;
            int on = 1;
            ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            Client& client = clients_.emplace_back(std::move(fd));
            client.thread = std::jthread([this, &client, id = ++number](const std::stop_token& s) {
                serve(client, id, s);
                client.socket.shut_down();
                client.done = true;
            });
        }
    }

    void serve(Client& client, uint32_t id, const std::stop_token& stop) {
        bool let_in = false;
        try {
            let_in = log_in(client.socket, id);
            if (let_in) converse(client.socket, stop);
        } catch (...) {
            Error error = current_error();
            bool gone = error.kind() == ErrorKind::network || stop.stop_requested();
            log_debug("replication source: client {}: {}", id, error.message());
            if (!let_in || gone) return;
            try {
                client.socket.write(error_packet(kMasterFatal, error.message()));
                client.socket.flush();
            } catch (const Error&) {
            }
            std::lock_guard lock(mutex_);
            failure_ = error;
        }
    }

    bool log_in(PacketSocket& socket, uint32_t id) {
        Challenge challenge = make_challenge();
        // Clients take a server for MariaDB by this prefix.
        socket.write(handshake(id, "5.5.5-" + version_, challenge));
        socket.flush();
        std::optional<Bytes> answer = socket.read(kLoginPatience);
        if (!answer) return false;
        Login login = parse_login(*answer);
        if (!login.plugin.empty() && login.plugin != kNativePassword) {
            socket.write(switch_to_native_password(challenge));
            socket.flush();
            answer = socket.read(kLoginPatience);
            if (!answer) return false;
            login.response = *answer;
        }
        bool right = answers(challenge, password_, login.response) && login.user == user_;
        socket.write(right ? ok_packet() : error_packet(kAccessDenied, "access denied"));
        socket.flush();
        return right;
    }

    void converse(PacketSocket& socket, const std::stop_token& stop) {
        Session session(server_id_, version_);
        for (;;) {
            std::optional<Bytes> packet = socket.read(kCommandPatience);
            if (!packet) return;
            Command command = parse_command(*packet);
            switch (command.type) {
                case Command::quit:
                    return;
                case Command::query:
                    for (const Bytes& reply : session.answer(command.text)) socket.write(reply);
                    break;
                case Command::ping:
                case Command::init_db:
                case Command::register_replica:
                    socket.write(ok_packet());
                    break;
                case Command::binlog_dump:
                    return dump(socket, session, command, stop);
                default:
                    socket.write(error_packet(kUnknownCommand, "unknown command"));
            }
            socket.flush();
        }
    }

    void dump(PacketSocket& socket, const Session& session, const Command& command,
              const std::stop_token& stop) {
        constexpr uint64_t kKnowsGtids = 4;
        if (session.number("mariadb_slave_capability") < kKnowsGtids)
            throw Error(ErrorKind::unsupported, "the replica is no MariaDB with GTIDs");
        Position position = Position::parse(session.variable("slave_connect_state"));
        std::stop_source own;
        std::stop_callback outer(stop, [&] { own.request_stop(); });
        Turn turn(*this, own, socket);
        DumpContext context{archive_,
                            planned_,
                            edits_,
                            window_,
                            server_id_,
                            [this](const std::function<void(SourceStats&)>& f) {
                                std::lock_guard lock(mutex_);
                                f(stats_);
                            }};
        Dump(std::move(context), socket, (command.flags & Command::kAnnotate) != 0,
             heartbeat_period(session))
            .run(position, own.get_token());
    }

    // Ends the dump that runs, if any, and waits for its end.
    class Turn {
      public:
        Turn(Impl& impl, const std::stop_source& mine, PacketSocket& socket)
            : impl_(impl), socket_(socket) {
            {
                std::lock_guard lock(impl_.turn_mutex_);
                impl_.current_.request_stop();
                if (impl_.current_socket_ != nullptr) impl_.current_socket_->shut_down();
                impl_.current_ = mine;
                impl_.current_socket_ = &socket;
            }
            running_ = std::unique_lock(impl_.dumping_);
        }
        ~Turn() {
            std::lock_guard lock(impl_.turn_mutex_);
            if (impl_.current_socket_ == &socket_) impl_.current_socket_ = nullptr;
        }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

      private:
        Impl& impl_;
        PacketSocket& socket_;
        std::unique_lock<std::mutex> running_;
    };

    std::string version_;
    os::UniqueFd listener_;
    std::mutex turn_mutex_;  // for the two below
    std::stop_source current_;
    PacketSocket* current_socket_ = nullptr;
    std::mutex dumping_;  // held by the dump that runs
    std::list<Client> clients_;
    std::jthread acceptor_;
};

ReplicationSource::ReplicationSource(const LogArchive& archive, const PlanOptions& options,
                                     uint64_t window)
    : impl_(std::make_unique<Impl>(archive, options, window)) {}
ReplicationSource::~ReplicationSource() = default;

const Plan& ReplicationSource::plan() const { return impl_->plan(); }
uint16_t ReplicationSource::port() const { return impl_->port_; }
const std::string& ReplicationSource::user() const { return impl_->user_; }
const Secret& ReplicationSource::password() const { return impl_->password_; }
uint32_t ReplicationSource::server_id() const { return impl_->server_id_; }
void ReplicationSource::drop(const Gtid& gtid) { impl_->edits_.drop(gtid); }
void ReplicationSource::applied(const Position& position) { impl_->window_.applied(position); }

SourceStats ReplicationSource::stats() const {
    std::lock_guard lock(impl_->mutex_);
    return impl_->stats_;
}

std::optional<Error> ReplicationSource::failure() const {
    std::lock_guard lock(impl_->mutex_);
    return impl_->failure_;
}

}  // namespace sevenfold::database::mariadb::source
