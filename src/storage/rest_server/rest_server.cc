#include "storage/rest_server/rest_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <map>
#include <mutex>

#include "core/error.h"
#include "core/log.h"
#include "crypto/sha256.h"
#include "os/file.h"
#include "storage/local/local_backend.h"
#include "storage/rest_server/quotas.h"
#include "storage/rest_server/rest_metrics.h"
#include "storage/rest_server/rest_path.h"
#include "storage/rest_server/users.h"

namespace sevenfold::storage {
namespace {

using net::RequestBody;
using net::ServerRequest;
using net::ServerResponse;
using What = RestPath::What;

constexpr size_t kPiece = 64 << 10;
// What a client announces is reserved on disk up to this: it may never send it.
constexpr uint64_t kMostReserved = 128 << 20;
constexpr size_t kMostOpenRepositories = 1000;
constexpr std::string_view kVersion1 = "application/vnd.x.restic.rest.v1";
constexpr std::string_view kVersion2 = "application/vnd.x.restic.rest.v2";

ServerResponse plain(int status, std::string_view text) {
    ServerResponse response{.status = status};
    response.headers.push_back({"Content-Type", "text/plain; charset=utf-8"});
    response.body = to_bytes(text);
    response.body.push_back('\n');
    return response;
}

ServerResponse forbidden(std::string_view why) { return plain(403, why); }

struct Range {
    uint64_t from, size;
};

// Of "bytes=0-99", "bytes=100-" and "bytes=-10". Nothing for other forms, which are ignored as RFC
// 9110 has it; a size of 0 for ranges that begin behind the end.
std::optional<Range> parse_range(std::string_view text, uint64_t size) {
    if (!text.starts_with("bytes=")) return std::nullopt;
    text.remove_prefix(6);
    size_t dash = text.find('-');
    if (dash == text.npos) return std::nullopt;
    auto number = [](std::string_view digits) -> std::optional<uint64_t> {
        uint64_t value = 0;
        auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (end != digits.data() + digits.size() || digits.empty()) return std::nullopt;
        if (failure == std::errc::result_out_of_range) return UINT64_MAX;
        return value;
    };
    auto first = number(text.substr(0, dash)), last = number(text.substr(dash + 1));
    if (dash == 0) {
        if (!last) return std::nullopt;
        uint64_t count = std::min(*last, size);
        return Range{size - count, count};
    }
    if (!first || (!last && dash + 1 != text.size()) || (last && *last < *first))
        return std::nullopt;
    if (*first >= size) return Range{*first, 0};
    return Range{*first, std::min(last.value_or(UINT64_MAX), size - 1) - *first + 1};
}

// Bytes of quotas, given back unless kept.
class Taken {
  public:
    Taken(Quotas& quotas, std::string repository)
        : quotas_(quotas), repository_(std::move(repository)) {}
    ~Taken() { quotas_.give_back(repository_, bytes_); }
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;
    bool up_to(uint64_t bytes) {
        if (bytes <= bytes_) return true;
        if (!quotas_.take(repository_, bytes - bytes_)) return false;
        bytes_ = bytes;
        return true;
    }
    void keep() { bytes_ = 0; }

  private:
    Quotas& quotas_;
    std::string repository_;
    uint64_t bytes_ = 0;
};

}  // namespace

struct RestServer::State {
    RestServerOptions options;
    std::unique_ptr<Users> users;
    Quotas quotas;
    RestMetrics metrics;
    std::mutex mutex;  // guards `open`
    std::map<std::string, std::shared_ptr<LocalBackend>> open;

    // What one request is about.
    struct Call {
        const ServerRequest& request;
        RequestBody& body;
        std::string user;
        RestPath path;
        Right right;
    };

    // `user` becomes the name of whom the request is from.
    ServerResponse dispatch(const ServerRequest& request, RequestBody& body, std::string& user);
    static ServerResponse refusal(const ServerRequest& request, const Error& error);
    ServerResponse call(const Call& call);
    ServerResponse create(const Call& call);
    ServerResponse list(const Call& call);
    ServerResponse read(const Call& call);
    ServerResponse store(const Call& call);
    ServerResponse receive(const Call& call, LocalBackend& backend);
    ServerResponse remove(const Call& call);
    ServerResponse show_metrics(const ServerRequest& request, const std::string& user);

    std::shared_ptr<LocalBackend> backend(const std::string& repository);
    bool inside_another(const std::string& repository);
    void count(RestMetrics::Action action, const Call& call, uint64_t bytes) {
        metrics.count(action, call.user, call.path.repository, folder(call.path.file.type), bytes);
    }
};

RestServer::RestServer(RestServerOptions options) : state_(std::make_unique<State>()) {
    while (options.root.size() > 1 && options.root.back() == '/') options.root.pop_back();
    struct stat st {};
    if (::stat(options.root.c_str(), &st) != 0) throw errno_error("open " + options.root);
    if (!S_ISDIR(st.st_mode)) throw errno_error("open " + options.root, ENOTDIR);
    if (options.root == "/") options.root.clear();
    State& state = *state_;
    if (!options.password_file.empty())
        state.users = std::make_unique<Users>(options.password_file);
    if (options.quota != 0) state.quotas.add(options.root, "", options.quota);
    for (const RightRule& rule : options.rights.rules)
        if (rule.quota != 0) state.quotas.add(options.root, rule.folder, rule.quota);
    state.options = std::move(options);
}

RestServer::~RestServer() = default;

ServerResponse RestServer::handle(const ServerRequest& request, RequestBody& body) {
    std::string user;
    ServerResponse response;
    try {
        response = state_->dispatch(request, body, user);
    } catch (const Error& error) {
        response = State::refusal(request, error);
    }
    response.user = std::move(user);
    return response;
}

ServerResponse RestServer::State::refusal(const ServerRequest& request, const Error& error) {
    auto log = [&] {
        log_error("{} {}: {}", request.method, printable(request.target), error.message());
    };
    switch (error.kind()) {
        case ErrorKind::not_found:
            return plain(404, "not found");
        case ErrorKind::exists:
            return forbidden("there is such a file already");
        case ErrorKind::no_space:
            log();
            return plain(507, "the disk is full");
        case ErrorKind::corrupt:  // this and what follows is about the body
        case ErrorKind::network:
            return plain(400, error.message());
        case ErrorKind::refused:
            return plain(413, error.message());
        case ErrorKind::timeout:
            return plain(408, error.message());
        default:  // what is wrong here is for our log, not for the other side
            log();
            return plain(500, "the server failed; its log says why");
    }
}

void RestServer::count(const net::ServedLine& line) {
    state_->metrics.count_request(line.request.method, line.response.status);
}

std::shared_ptr<LocalBackend> RestServer::State::backend(const std::string& repository) {
    std::lock_guard lock(mutex);
    auto known = open.find(repository);
    if (known != open.end()) return known->second;
    if (open.size() >= kMostOpenRepositories) open.clear();
    auto made = std::make_shared<LocalBackend>(
        options.root.empty() && repository.empty() ? "/" : options.root + repository);
    open.emplace(repository, made);
    return made;
}

// A repository's own folders must not become repositories.
bool RestServer::State::inside_another(const std::string& repository) {
    for (std::string above = repository; !above.empty();) {
        above.resize(above.rfind('/'));
        if (os::path_exists(options.root + above + "/config")) return true;
    }
    return false;
}

ServerResponse RestServer::State::dispatch(const ServerRequest& request, RequestBody& body,
                                           std::string& user) {
    std::string_view target = request.target;
    size_t question = std::min(target.find('?'), target.size());
    std::string_view query = target.substr(std::min(question + 1, target.size()));
    target = target.substr(0, question);

    bool open_metrics = target == "/metrics" && options.metrics && options.metrics_for_all;
    if (users && !open_metrics) {
        user = users->check(request.header("authorization"));
        if (user.empty()) {
            ServerResponse response = plain(401, "a name and its password are needed");
            response.headers.push_back({"WWW-Authenticate", "Basic realm=\"sevenfold\""});
            return response;
        }
    }
    if (target == "/metrics" && options.metrics && request.method != "POST")
        return show_metrics(request, user);

    bool create = request.method == "POST" && query == "create=true";
    auto path = create ? parse_repository_path(target) : parse_rest_path(target);
    if (!path) return plain(404, "not found");
    Call what{.request = request,
              .body = body,
              .user = user,
              .path = *path,
              .right = options.rights.of(user, path->repository)};
    return create ? this->create(what) : call(what);
}

ServerResponse RestServer::State::call(const Call& call) {
    const std::string& method = call.request.method;
    bool reads = method == "GET" || method == "HEAD";
    if (call.right < Right::read) return forbidden("you have no right to this repository");
    if (call.path.what == What::folder && reads) return list(call);
    if (call.path.what == What::file) {
        if (reads) return read(call);
        if (method == "POST") return store(call);
        if (method == "DELETE") return remove(call);
    }
    if (reads) return plain(404, "not found");
    ServerResponse response = plain(405, "this cannot be done here");
    response.headers.push_back(
        {"Allow", call.path.what == What::file ? "GET, HEAD, POST, DELETE" : "GET, HEAD"});
    return response;
}

ServerResponse RestServer::State::create(const Call& call) {
    if (call.right < Right::append) return forbidden("you have no right to make a repository here");
    if (inside_another(call.path.repository))
        return forbidden("this is inside of another repository");
    try {
        backend(call.path.repository)->create();
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::exists) throw;  // as it was: rest-server says the same
    }
    return ServerResponse{};
}

ServerResponse RestServer::State::list(const Call& call) {
    std::string json = "[";
    bool sizes = call.request.header("accept") == kVersion2;
    backend(call.path.repository)->list(call.path.file.type, [&](const FileInfo& info) {
        if (json.size() > 1) json += ',';
        if (sizes)
            json += fmt::format("{{\"name\":\"{}\",\"size\":{}}}", info.id.hex(), info.size);
        else
            json += fmt::format("\"{}\"", info.id.hex());
    });
    json += "]";
    ServerResponse response;
    response.headers.push_back({"Content-Type", std::string(sizes ? kVersion2 : kVersion1)});
    response.body = to_bytes(json);
    return response;
}

ServerResponse RestServer::State::read(const Call& call) {
    std::string path = backend(call.path.repository)->path_of(call.path.file);
    auto fd = std::make_shared<os::UniqueFd>(os::open_file(path, O_RDONLY | O_NOFOLLOW));
    struct stat st {};
    if (::fstat(fd->get(), &st) != 0) throw errno_error("stat " + path);
    if (!S_ISREG(st.st_mode)) throw errno_error("open " + path, ENOENT);
    uint64_t size = static_cast<uint64_t>(st.st_size), from = 0;
    ServerResponse response{.size = size};
    response.headers.push_back({"Content-Type", "application/octet-stream"});
    response.headers.push_back({"Accept-Ranges", "bytes"});
    if (auto range = parse_range(call.request.header("range"), size);
        range && call.request.method == "GET") {
        if (range->size == 0) {
            response = plain(416, "the file is not so long");
            response.headers.push_back({"Content-Range", fmt::format("bytes */{}", size)});
            return response;
        }
        response.status = 206;
        response.size = range->size;
        from = range->from;
        response.headers.push_back(
            {"Content-Range", fmt::format("bytes {}-{}/{}", from, from + range->size - 1, size)});
    }
    // The file stays what it was though its name may be removed meanwhile.
    response.fill = [fd, path, from](MutableByteView out) mutable {
        if (os::pread_all(fd->get(), out, from, path) != out.size())
            throw Error(ErrorKind::io, path + ": short read: the file shrank");
        from += out.size();
    };
    if (call.request.method == "GET") count(RestMetrics::Action::read, call, response.size);
    return response;
}

ServerResponse RestServer::State::store(const Call& call) {
    if (call.right < Right::append) return forbidden("you have no right to write here");
    auto repository = backend(call.path.repository);
    const FileName& file = call.path.file;
    if (inside_another(call.path.repository))
        return forbidden("this is inside of another repository");
    if (os::path_exists(repository->path_of(file)))
        return forbidden("there is such a file already");
    // Whoever could add a key could lock the others out with a password of his own.
    if (file.type == FileType::key && call.right < Right::full &&
        os::path_exists(repository->path_of({FileType::config, {}})))
        return forbidden("you have no right to add a key to this repository");
    return receive(call, *repository);
}

ServerResponse RestServer::State::receive(const Call& call, LocalBackend& backend) {
    const FileName& name = call.path.file;
    Taken taken(quotas, call.path.repository);
    ServerResponse full = plain(507, "the quota of this folder is used up");
    if (!taken.up_to(call.request.body_size.value_or(0))) return full;
    auto file = backend.begin_store(name);
    file->preallocate(std::min(call.request.body_size.value_or(0), kMostReserved));
    crypto::Sha256 hash;
    Bytes piece(kPiece);
    uint64_t size = 0;
    while (size_t n = call.body.read(piece)) {
        ByteView part = ByteView(piece).first(n);
        size += n;
        if (!taken.up_to(size)) return full;
        file->write(part);
        hash.update(part);
    }
    if (options.verify_uploads && name.type != FileType::config && hash.digest() != name.id)
        return plain(400, "the file's content does not hash to its name");
    file->commit_new(backend.file_mode());
    taken.keep();
    count(RestMetrics::Action::write, call, size);
    return ServerResponse{};
}

ServerResponse RestServer::State::remove(const Call& call) {
    const FileName& file = call.path.file;
    Right needed = file.type == FileType::lock ? Right::append : Right::full;
    if (call.right < needed) return forbidden("you have no right to remove this");
    auto repository = backend(call.path.repository);
    try {
        uint64_t size = repository->size(file);
        repository->remove(file);
        quotas.give_back(call.path.repository, size);
        count(RestMetrics::Action::remove, call, size);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw;  // it is gone, which was wanted
    }
    return ServerResponse{};
}

ServerResponse RestServer::State::show_metrics(const ServerRequest&, const std::string& user) {
    if (!options.metrics_for_all && !options.rights.metrics(user))
        return forbidden("you have no right to the metrics");
    std::string text = metrics.text();
    for (const Quotas::Quota& quota : quotas.state())
        text += fmt::format(
            "sevenfold_serve_quota_bytes{{folder=\"{0}\"}} {1}\n"
            "sevenfold_serve_used_bytes{{folder=\"{0}\"}} {2}\n",
            metric_label(quota.folder.empty() ? "/" : quota.folder), quota.limit, quota.used);
    if (options.more_metrics) text += options.more_metrics();
    ServerResponse response;
    response.headers.push_back({"Content-Type", "text/plain; version=0.0.4; charset=utf-8"});
    response.body = to_bytes(text);
    return response;
}

std::string access_log_line(const net::ServedLine& line) {
    std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    auto quoted = [](std::string_view text) {
        std::string out = printable(text.substr(0, 2048));
        for (size_t i = 0; i < out.size(); ++i)
            if (out[i] == '"') out.replace(i++, 1, "\\\"");
        return out;
    };
    std::string user = quoted(line.response.user);
    std::ranges::replace(user, ' ', '_');
    return fmt::format(
        "{} - {} [{:02}/{}/{}:{:02}:{:02}:{:02} +0000] \"{} {} HTTP/1.1\" {} {} \"-\" \"{}\" "
        "{:.3f}{}",
        line.request.peer, user.empty() ? "-" : user, parts.tm_mday, kMonths[parts.tm_mon],
        parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec,
        line.request.method.empty() ? "-" : quoted(line.request.method),
        quoted(line.request.target), line.response.status,
        line.request.method == "POST" ? line.received : line.sent,
        quoted(line.request.header("user-agent")), std::chrono::duration<double>(line.took).count(),
        line.complete ? "" : " cut");
}

}  // namespace sevenfold::storage
