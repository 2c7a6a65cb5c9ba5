// serve: a repository server for restic's REST protocol, over TCP, TLS or a pipe.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>

#include "cli/commands.h"
#include "core/log.h"
#include "core/units.h"
#include "crypto/bcrypt.h"
#include "net/http_server.h"
#include "os/file.h"
#include "storage/rest_server/rest_server.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::string path;
    std::vector<std::string> listen;
    bool stdio = false;
    bool tls = false;  // rest-server's; the files alone say the same
    std::string tls_certificate, tls_key;
    std::string htpasswd_file, rights_file;
    bool no_auth = false, append_only = false, read_only = false, private_repos = false;
    std::string max_size;
    std::string log;
    bool prometheus = false, prometheus_no_auth = false;
    bool no_verify_upload = false;
    uint64_t max_connections = 512;
    std::string max_upload = "1GiB";
    bool hash_password = false;
};

uint64_t size_option(std::string_view name, const std::string& text) {
    auto size = parse_size(text);
    if (!size || *size == 0)
        throw Error(ErrorKind::usage, fmt::format("{} {}: not a size", name, text),
                    "Write a number of bytes or a size like 500GiB.");
    return *size;
}

// The access log: appended to, opened anew when it has been moved away (logrotate).
class AccessLog {
  public:
    explicit AccessLog(std::string path) : path_(std::move(path)) {
        if (path_ != "-") open();
    }
    void write(const std::string& line) {
        std::lock_guard lock(mutex_);
        try {
            if (path_ != "-" && !os::path_exists(path_)) open();
            os::write_all(path_ == "-" ? STDERR_FILENO : file_.get(), as_bytes(line + "\n"), path_);
            warned_ = false;
        } catch (const Error& error) {  // no reason to serve nobody
            if (!warned_) log_warning("access log: {}", error.message());
            warned_ = true;
        }
    }

  private:
    void open() { file_ = os::open_file(path_, O_WRONLY | O_CREAT | O_APPEND, 0640); }
    std::string path_;
    std::mutex mutex_;
    os::UniqueFd file_;
    bool warned_ = false;
};

storage::RestServerOptions server_options(const Options& options) {
    storage::RestServerOptions server{.root = options.path,
                                      .verify_uploads = !options.no_verify_upload,
                                      .metrics = options.prometheus,
                                      .metrics_for_all = options.prometheus_no_auth};
    server.rights.most = options.read_only     ? storage::Right::read
                         : options.append_only ? storage::Right::append
                                               : storage::Right::full;
    server.rights.private_folders = options.private_repos;
    if (!options.max_size.empty()) server.quota = size_option("--max-size", options.max_size);
    if (!options.rights_file.empty()) {
        Bytes text = os::read_file(options.rights_file, 1 << 20);
        server.rights.by_rules = true;
        server.rights.rules = storage::parse_rights(as_text(text), options.rights_file);
    }
    if (options.no_auth || options.stdio) {
        if (options.private_repos || !options.rights_file.empty())
            throw Error(ErrorKind::usage,
                        "--private-repos and --rights-file need users, and there are none",
                        "Leave out --no-auth and --stdio, or these two.");
        return server;
    }
    server.password_file =
        options.htpasswd_file.empty() ? options.path + "/.htpasswd" : options.htpasswd_file;
    if (!os::path_exists(server.password_file))
        throw Error(ErrorKind::config,
                    fmt::format("there is no file of users {}", server.password_file),
                    "Make it with `htpasswd -B -c FILE NAME`, or serve everybody with --no-auth.");
    return server;
}

int hash_password(Context& context) {
    Secret password;
    if (context.terminal().can_ask()) {
        password = context.terminal().ask_password("password: ", context.stop());
    } else {
        Bytes input = os::read_file("/dev/stdin", 4096);
        std::string_view text = as_text(input);
        password = Secret(text.substr(0, text.find_first_of("\r\n")));
        wipe(input.data(), input.size());
    }
    if (password.empty()) throw Error(ErrorKind::usage, "the password is empty");
    if (password.reveal().size() > 72)
        throw Error(ErrorKind::usage, "bcrypt takes passwords of up to 72 bytes");
    std::string hash = crypto::bcrypt_hash(password.reveal());
    context.terminal().print(hash);
    context.terminal().json(JsonObject().set("message_type", "hash").set("hash", hash));
    return 0;
}

void warn_of_open_doors(const Options& options, const std::string& address) {
    bool loopback =
        address.starts_with("127.") || address.starts_with("[::1]") || address == "unix";
    if (loopback) return;
    if (options.no_auth)
        log_warning("{}: whoever reaches this address may use the repositories", address);
    else if (options.tls_certificate.empty())
        log_warning(
            "{}: passwords cross the network in the clear; give --tls-cert and --tls-key, or "
            "listen on 127.0.0.1 behind a proxy that speaks TLS",
            address);
}

int serve(Context& context, const Options& options) {
    if (options.hash_password) return hash_password(context);
    if (options.path.empty())
        throw Error(ErrorKind::usage, "no folder given", "Name it with --path DIR.");
    if (options.tls_certificate.empty() != options.tls_key.empty() ||
        (options.tls && options.tls_key.empty()))
        throw Error(ErrorKind::usage, "TLS needs both --tls-cert and --tls-key");
    net::ServerOptions http{.certificate_file = options.tls_certificate,
                            .key_file = options.tls_key};
    http.limits.connections = static_cast<unsigned>(
        std::min<uint64_t>(std::max<uint64_t>(options.max_connections, 1), 100'000));
    http.limits.body_bytes = size_option("--max-upload", options.max_upload);
    storage::RestServer repositories(server_options(options));
    std::optional<AccessLog> log;
    if (!options.log.empty()) log.emplace(options.log);
    http.on_served = [&](const net::ServedLine& line) {
        repositories.count(line);
        if (log) log->write(storage::access_log_line(line));
    };
    auto handler = [&](const net::ServerRequest& request, net::RequestBody& body) {
        return repositories.handle(request, body);
    };
    if (options.stdio) {
        http.limits.idle_time = std::chrono::hours(24);  // ssh notices a client that is gone
        net::serve_pipe(http, STDIN_FILENO, STDOUT_FILENO, handler, context.stop());
        return 0;
    }
    std::vector<int> sockets = net::inherited_sockets();
    if (sockets.empty()) {
        std::vector<std::string> addresses = options.listen;
        if (addresses.empty()) addresses.push_back(":8000");
        for (const std::string& address : addresses) sockets.push_back(net::listen_on(address));
    }
    net::HttpServer server(http, sockets, handler);
    for (int socket : sockets) {
        std::string address = net::address_of(socket);
        warn_of_open_doors(options, address);
        context.terminal().note(fmt::format("serving {} on {}://{}", printable(options.path),
                                            options.tls_key.empty() ? "http" : "https", address));
        context.terminal().json(
            JsonObject().set("message_type", "listening").set("address", address));
    }
    server.run(context.stop());
    context.terminal().note("stopped");
    return 0;
}

}  // namespace

void add_serve(CommandTree& tree) {
    auto options = std::make_shared<Options>();
    tree.command("serve", "Serve repositories in a folder to restic and Sevenfold (REST protocol).",
                 "sevenfold serve --path /srv/backup --tls-cert cert.pem --tls-key key.pem\n"
                 "sevenfold serve --path /srv/backup --append-only --listen 127.0.0.1:8000\n"
                 "sevenfold serve --path /srv/backup --stdio --append-only    as a command of ssh")
        .option("--path", options->path, "DIR", "folder below which the repositories lie")
        .option("--listen", options->listen, "ADDRESS",
                "host:port; may be given again (default: :8000, or the sockets of systemd)")
        .flag("--stdio", options->stdio,
              "serve one client on standard input and output, who has logged in by ssh")
        .flag("--tls", options->tls, "accepted for rest-server's sake; the two files imply it")
        .option("--tls-cert", options->tls_certificate, "FILE",
                "certificate (PEM, with its chain); read anew when it changes")
        .option("--tls-key", options->tls_key, "FILE", "its key (PEM)")
        .option("--htpasswd-file", options->htpasswd_file, "FILE",
                "users with bcrypt hashes (default: .htpasswd in the folder)")
        .flag("--no-auth", options->no_auth, "serve everybody, without a password")
        .option(
            "--rights-file", options->rights_file, "FILE",
            "lines USER FOLDER none|read|append|full [QUOTA] (default: everything to all users)")
        .flag("--append-only", options->append_only,
              "nobody may delete, overwrite, or add keys; locks may be removed")
        .flag("--read-only", options->read_only, "nobody may write")
        .flag("--private-repos", options->private_repos,
              "each user sees only the folder of his own name")
        .option("--max-size", options->max_size, "SIZE", "most that may lie in the folder")
        .option("--max-upload", options->max_upload, "SIZE", "largest file taken (default: 1GiB)")
        .option("--max-connections", options->max_connections, "N",
                "connections at once (default: 512)")
        .flag("--no-verify-upload", options->no_verify_upload,
              "do not check that files hash to their names")
        .option("--log", options->log, "FILE", "access log, - for standard error")
        .flag("--prometheus", options->prometheus, "serve metrics at /metrics")
        .flag("--prometheus-no-auth", options->prometheus_no_auth, "to everybody")
        .flag("--hash-password", options->hash_password,
              "only read a password and print its hash, for the file of users")
        .run([options](Context& context) { return serve(context, *options); });
}

}  // namespace sevenfold::cli
