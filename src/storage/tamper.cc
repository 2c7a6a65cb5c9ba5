#include "storage/tamper.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "crypto/hmac.h"
#include "crypto/random.h"
#include "storage/rest/rest_location.h"
#include "storage/s3/s3_location.h"

namespace sevenfold::storage {
namespace {

std::string answers(const net::HttpResponse& response) {
    return fmt::format("the server answers {}", response.status);
}

bool denied(const net::HttpResponse& response) {
    return response.status == 401 || response.status == 403 || response.status == 405;
}

TamperResult tamper_rest(const Location& location, const BackendOptions& options) {
    RestBackend server(rest_backend_options(location, options, {}));
    TamperResult result;
    for (std::string_view folder : {"snapshots", "index", "data"}) {
        net::HttpResponse response =
            server.attempt("DELETE", fmt::format("{}/{}", folder, crypto::random_id().hex()), {});
        // Servers look at rights before they look for the file.
        bool accepted = response.status == 200 || response.status == 404;
        result.attempts.push_back(
            {.what = fmt::format("delete in {}", folder),
             .verdict = denied(response) ? Verdict::refused
                        : accepted       ? Verdict::accepted
                                         : Verdict::inconclusive,
             .evidence = answers(response) + " for a name that does not exist"});
    }
    const std::string key = fmt::format("keys/{}", crypto::random_id().hex());
    net::HttpResponse response = server.attempt("POST", key, as_bytes("not what the name says"));
    TamperAttempt add{.what = "add a key", .evidence = answers(response)};
    if (denied(response)) {
        add.verdict = Verdict::refused;
    } else if (response.status == 400) {
        add.verdict = Verdict::accepted;
        add.evidence += ", and objects only to the content";
    } else if (response.status == 200) {
        add.verdict = Verdict::accepted;
        if (server.attempt("DELETE", key, {}).status != 200) result.leftovers.push_back(key);
    }
    result.attempts.push_back(std::move(add));
    return result;
}

// A probe object and all that comes of it.
class S3Probe {
  public:
    S3Probe(const Location& location, const BackendOptions& options, const Clock& clock)
        : client_(s3_client_options(location, options)),
          location_(location.display()),
          clock_(clock),
          key_(fmt::format("{}{}snapshots/sevenfold-probe-{:016x}", location.path,
                           location.path.empty() ? "" : "/", crypto::random_u64())) {}

    TamperResult run() {
        net::HttpResponse made = put(key_, kFirst, {});
        if (made.status != 200) {
            note("delete", Verdict::inconclusive, "no probe can be stored: " + answers(made));
            return std::move(result_);
        }
        first_ = made.header("x-amz-version-id");
        try {
            overwrite();
            remove();
            remove_version();
            shorten_retention();
        } catch (...) {
            clean_up();
            throw;
        }
        clean_up();
        return std::move(result_);
    }

  private:
    static constexpr std::string_view kFirst = "sevenfold: a probe", kSecond = "another probe";
    using Query = std::vector<std::pair<std::string, std::string>>;

    net::HttpResponse ask(const char* method, const std::string& key, const Query& query,
                          ByteView body = {}, std::vector<net::HttpHeader> headers = {}) {
        if (!body.empty())
            if (auto md5 = crypto::md5(body)) headers.push_back({"content-md5", to_base64(*md5)});
        return client_.attempt(method, key, query, headers, body, location_);
    }
    net::HttpResponse put(const std::string& key, std::string_view text,
                          std::vector<net::HttpHeader> headers) {
        net::HttpResponse response = ask("PUT", key, {}, as_bytes(text), std::move(headers));
        if (response.status == 200)
            made_.emplace_back(key, std::string(response.header("x-amz-version-id")));
        return response;
    }
    void note(const char* what, Verdict verdict, std::string evidence) {
        result_.attempts.push_back(
            {.what = what, .verdict = verdict, .evidence = std::move(evidence)});
    }
    bool first_is_there() {
        if (first_.empty()) return false;
        net::HttpResponse response = ask("GET", key_, {{"versionId", first_}});
        return response.status == 200 && as_text(response.body) == kFirst;
    }
    void judge(const char* what, const net::HttpResponse& response, const char* kept) {
        if (denied(response))
            note(what, Verdict::refused, answers(response));
        else if (response.status / 100 != 2)
            note(what, Verdict::inconclusive, answers(response));
        else if (first_is_there())
            note(what, Verdict::refused, kept);
        else
            note(what, Verdict::accepted, "the content is gone");
    }
    void overwrite() {
        judge("overwrite", put(key_, kSecond, {}), "the former content is kept as a version");
    }
    void remove() {
        // Where overwriting took the content already, what is there now counts.
        bool kept = first_is_there();
        net::HttpResponse response = ask("DELETE", key_, {});
        if (std::string marker(response.header("x-amz-version-id")); !marker.empty())
            made_.emplace_back(key_, marker);
        if (denied(response))
            note("delete", Verdict::refused, answers(response));
        else if (response.status / 100 != 2)
            note("delete", Verdict::inconclusive, answers(response));
        else if (kept && first_is_there())
            note("delete", Verdict::refused, "only marked as deleted; the version can be read");
        else
            note("delete", Verdict::accepted, answers(response));
        if (first_.empty() && response.status / 100 == 2) made_.clear();
    }
    void remove_version() {
        if (first_.empty()) return;
        net::HttpResponse response = ask("DELETE", key_, {{"versionId", first_}});
        judge("delete a version", response, "the version can still be read");
    }
    void shorten_retention() {
        net::HttpResponse lock = ask("GET", "", {{"object-lock", ""}});
        if (lock.status != 200) {
            note("shorten retention", Verdict::inconclusive, "the bucket has no Object Lock");
            return;
        }
        auto in = [&](int seconds) {
            Time time = clock_.now().plus(std::chrono::seconds(seconds));
            return to_rfc3339({.seconds = time.seconds});
        };
        const std::string key = key_ + "-locked", until = in(60);
        net::HttpResponse made = put(key, kFirst,
                                     {{"x-amz-object-lock-mode", "COMPLIANCE"},
                                      {"x-amz-object-lock-retain-until-date", until}});
        if (made.status != 200) {
            note("shorten retention", Verdict::inconclusive,
                 "no locked probe can be stored: " + answers(made));
            return;
        }
        std::string body = fmt::format(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>COMPLIANCE</Mode>"
            "<RetainUntilDate>{}</RetainUntilDate></Retention>",
            in(5));
        net::HttpResponse shorter = ask("PUT", key, {{"retention", ""}}, as_bytes(body),
                                        {{"x-amz-bypass-governance-retention", "true"}});
        bool refused = denied(shorter) || shorter.status == 400;
        note("shorten retention",
             refused                     ? Verdict::refused
             : shorter.status / 100 == 2 ? Verdict::accepted
                                         : Verdict::inconclusive,
             answers(shorter));
    }
    void clean_up() {
        for (const auto& [key, version] : made_) {
            Query query;
            if (!version.empty()) query.emplace_back("versionId", version);
            net::HttpResponse response = ask("DELETE", key, query);
            if (response.status / 100 == 2 || response.status == 404) continue;
            result_.leftovers.push_back(
                version.empty() ? key : fmt::format("{} (version {})", key, printable(version)));
        }
        made_.clear();
    }

    S3Client client_;
    const std::string location_;
    const Clock& clock_;
    const std::string key_;
    std::string first_;                                      // its version; empty: none are kept
    std::vector<std::pair<std::string, std::string>> made_;  // key, version
    TamperResult result_;
};

}  // namespace

std::string_view name(Verdict verdict) {
    constexpr std::string_view kNames[] = {"refused", "accepted", "inconclusive"};
    return kNames[static_cast<size_t>(verdict)];
}

TamperResult tamper_with(const Location& location, const BackendOptions& options,
                         const Clock& clock) {
    switch (location.driver) {
        case Location::Driver::rest:
        case Location::Driver::ssh:
            return tamper_rest(location, options);
        case Location::Driver::s3:
            return S3Probe(location, options, clock).run();
        default:
            return {.attempts = {{.what = "delete",
                                  .evidence = "not tried: whoever may write files here can as a "
                                              "rule remove them"}},
                    .leftovers = {}};
    }
}

}  // namespace sevenfold::storage
