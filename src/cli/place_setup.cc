#include "cli/place_setup.h"

#include "core/log.h"
#include "crypto/random.h"
#include "os/file.h"
#include "protect/passwords.h"
#include "protect/places.h"
#include "repository/repository.h"
#include "storage/versions.h"

namespace sevenfold::cli {
namespace {

constexpr size_t kPasswordLength = 32;  // 5.8 bits each: 185 bits

using repository::Repository;

// Where one is named and not there yet.
void make_password_file(Context& context, const config::PlaceConfig& place) {
    if (place.password_file.empty() || os::path_exists(place.password_file)) return;
    os::make_dirs(os::parent_dir(place.password_file), 0700);
    std::string password = crypto::random_password(kPasswordLength) + "\n";
    os::write_file_atomically(place.password_file, as_bytes(password), 0600);
    wipe(password.data(), password.size());
    context.terminal().print(
        fmt::format("wrote {}: keep it elsewhere, too", printable(place.password_file)));
}

class PlaceSetup {
  public:
    explicit PlaceSetup(Context& context) : context_(context) {}

    // What exists is looked at first, because new repositories follow it.
    void run(const config::AppConfig& config) {
        std::vector<const config::PlaceConfig*> missing;
        for (const config::PlaceConfig& place : config.places)
            guarded(place, [&] {
                if (!accept(place)) missing.push_back(&place);
            });
        for (const config::PlaceConfig* place : missing) guarded(*place, [&] { create(*place); });
        if (failure_) throw *failure_;
    }

  private:
    template <class Body>
    void guarded(const config::PlaceConfig& place, Body body) {
        context_.check_stop();
        try {
            body();
        } catch (...) {  // the other places are set up all the same
            Error error = current_error().with_context("place " + place.name);
            if (error.kind() == ErrorKind::interrupted) throw error;
            if (failure_) log_error("{}", error.message());
            if (!failure_) failure_ = error;
        }
    }

    std::unique_ptr<storage::Backend> backend(const config::PlaceConfig& place) {
        storage::BackendOptions options = protect::backend_options(place);
        options.retry_for = std::chrono::nanoseconds(0);  // somebody waits for the answer
        options.ssh_may_ask = context_.terminal().can_ask();
        return storage::open_backend(storage::parse_location(place.url), options);
    }

    // False when there is no repository yet.
    bool accept(const config::PlaceConfig& place) {
        auto storage = backend(place);
        if (!place.lock.empty()) storage->versions()->check_can_lock();
        if (!storage->exists({storage::FileType::config, {}})) return false;
        try {
            report(place, *Repository::open(std::move(storage), protect::read_password(place), {}),
                   "found");
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::wrong_password) throw;
            throw error.with_hint(fmt::format(
                "There is a repository at {} already. Put its password into {}, or choose another "
                "place.",
                config::redacted(place.url),
                place.password_file.empty() ? "place" : place.password_file));
        }
        return true;
    }

    void create(const config::PlaceConfig& place) {
        make_password_file(context_, place);
        repository::CreateOptions options;
        options.chunker_polynomial = polynomial_;
        report(place, *Repository::create(backend(place), protect::read_password(place), options),
               "created");
    }

    void report(const config::PlaceConfig& place, const Repository& repository, const char* what) {
        const repository::RepositoryConfig& config = repository.config();
        if (polynomial_ && *polynomial_ != config.chunker_polynomial)
            log_warning(
                "place {} cuts files differently from the others: copying between them "
                "will take more time and space",
                place.name);
        if (!polynomial_) polynomial_ = config.chunker_polynomial;
        Terminal& terminal = context_.terminal();
        terminal.print(fmt::format("{} repository {} of place {} at {}", what,
                                   config.id.hex().substr(0, 10), place.name,
                                   printable(repository.location())));
        terminal.json(JsonObject()
                          .set("type", "repository")
                          .set("place", place.name)
                          .set("id", config.id.hex())
                          .set("location", repository.location())
                          .set("created", std::string_view(what) == "created"));
    }

    Context& context_;
    std::optional<repository::Polynomial> polynomial_;
    std::optional<Error> failure_;
};

}  // namespace

void make_password_files(Context& context, const config::AppConfig& config) {
    for (const config::PlaceConfig& place : config.places) make_password_file(context, place);
}

void set_up_places(Context& context, const config::LoadedConfig& loaded) {
    PlaceSetup(context).run(loaded.config);
}

}  // namespace sevenfold::cli
