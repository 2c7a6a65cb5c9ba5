// ping: is every place reachable, open to our password, writable, and up to date?
#include <unistd.h>

#include "cli/commands.h"
#include "cli/table.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/units.h"
#include "os/identity.h"
#include "protect/passwords.h"
#include "protect/places.h"
#include "repository/lock.h"
#include "repository/snapshot.h"
#include "storage/versions.h"

namespace sevenfold::cli {
namespace {

struct Options {
    std::vector<std::string> places;
    bool read_only = false;
};

struct Health {
    const config::PlaceConfig* place = nullptr;
    bool opens = false, writable = false;
    std::chrono::nanoseconds latency{};  // of one small request
    size_t snapshots = 0;
    std::optional<Time> newest;
    std::optional<uint64_t> free_space;
    std::optional<Error> error;
};

// Stores a small file, reads it back and removes it. It is a shared lock of this process, because
// that is what every restic client expects to come and go, and what append-only places let us
// remove.
void probe_writing(const repository::Repository& repository, const Clock& clock) {
    repository::LockInfo lock;
    lock.hostname = os::host_name();
    lock.time = clock.now();
    lock.pid = ::getpid();
    lock.uid = ::getuid();
    lock.gid = ::getgid();
    const std::string text = repository::encode_lock(lock);
    Id id = repository.save_unpacked(storage::FileType::lock, as_bytes(text));
    Bytes back = repository.load_unpacked(storage::FileType::lock, id);
    repository.remove(storage::FileType::lock, id);
    if (as_text(back) != text)
        throw Error(ErrorKind::corrupt, "the probe was read back differently than it was written",
                    "The storage damages data. Do not rely on this place.");
}

void examine(Context& context, const Options& options, Health& health) {
    const config::PlaceConfig& place = *health.place;
    storage::BackendOptions backend_opts = protect::backend_options(place);
    backend_opts.retry_for = std::chrono::nanoseconds(0);  // the first answer counts
    auto repository = repository::Repository::open(protect::open_place_backend(place, backend_opts),
                                                   protect::read_password(place), {});
    health.opens = true;
    if (!place.lock.empty()) repository->backend().versions()->check_can_lock();
    context.check_stop();
    const auto start = context.clock().steady();
    repository->backend().size({storage::FileType::config, {}});
    health.latency = context.clock().steady() - start;
    health.free_space = repository->backend().free_space();
    auto snapshots = repository::load_snapshots(*repository);
    health.snapshots = snapshots.size();
    if (!snapshots.empty()) health.newest = snapshots.back().time;
    context.check_stop();
    if (options.read_only) return;
    probe_writing(*repository, context.clock());
    health.writable = true;
}

std::string hint_for(const Health& health) {
    if (health.error->kind() == ErrorKind::no_repository)
        return "Is it mounted? `sevenfold init --repositories` creates the repository of a new "
               "place.";
    return health.error->hint();
}

void report(Terminal& terminal, const Clock& clock, const Options& options,
            const std::vector<Health>& all) {
    Table table({{"place"},
                 {"domain"},
                 {"state"},
                 {"answer", Column::right},
                 {"snapshots", Column::right},
                 {"newest", Column::right},
                 {"free", Column::right}});
    for (const Health& health : all) {
        const config::PlaceConfig& place = *health.place;
        auto age = health.newest ? std::optional(clock.now().since(*health.newest)) : std::nullopt;
        JsonObject object;
        object.set("type", "place").set("name", place.name).set("domain", place.failure_domain());
        object.set("url", config::redacted(place.url)).set("ok", !health.error);
        object.set("opens", health.opens).set("writable", health.writable);
        if (health.opens) {
            object.set("latency_ms",
                       std::chrono::duration<double, std::milli>(health.latency).count());
            object.set("snapshots", health.snapshots);
        }
        object.set("newest", health.newest).set("free_bytes", health.free_space);
        if (health.error) {
            object.set("error", health.error->message()).set("kind", name(health.error->kind()));
            object.set("hint", hint_for(health));
        }
        terminal.json(object);
        Cell state = health.error        ? Cell("failed", Style::red)
                     : options.read_only ? Cell("readable", Style::green)
                                         : Cell("good", Style::green);
        std::string latency = fmt::format(
            "{:.1f} ms", std::chrono::duration<double, std::milli>(health.latency).count());
        table.row({place.name, place.failure_domain(), state, health.opens ? latency : "",
                   health.opens ? format_count(health.snapshots) : "",
                   age ? format_age(*age) + " ago" : "",
                   health.free_space ? format_size(*health.free_space) : ""});
    }
    table.print(terminal);
    for (const Health& health : all) {
        if (!health.error) continue;
        terminal.print(fmt::format("\n{}: {}", terminal.styled(Style::red, health.place->name),
                                   printable(health.error->message())));
        if (std::string hint = hint_for(health); !hint.empty())
            terminal.print(fmt::format("  {} {}", terminal.styled(Style::cyan, "hint:"), hint));
    }
}

int ping(Context& context, const Options& options) {
    const config::AppConfig& config = context.config();
    std::vector<Health> all;
    for (const config::PlaceConfig& place : config.places)
        if (options.places.empty()) all.push_back(Health{.place = &place});
    for (const std::string& name : options.places)
        all.push_back(Health{.place = &config.place(name)});
    parallel_for(all.size(), 8, [&](size_t i) {
        try {
            examine(context, options, all[i]);
        } catch (...) {  // one place must not hide the others
            all[i].error = current_error();
        }
    });
    context.check_stop();
    report(context.terminal(), context.clock(), options, all);
    for (const Health& health : all)
        if (health.error) return exit_code(health.error->kind());
    return 0;
}

}  // namespace

void add_ping(CommandTree& tree) {
    auto options = std::make_shared<Options>();
    tree.command("ping", "Check that each place can be reached, opened, read and written.",
                 "sevenfold ping                 all places\n"
                 "sevenfold ping offsite         one of them\n"
                 "sevenfold ping --read-only     without writing and removing a small file")
        .arguments("PLACE", options->places, "places to check (default: all)")
        .flag("--read-only", options->read_only, "do not test writing")
        .run([options](Context& context) { return ping(context, *options); });
}

}  // namespace sevenfold::cli
