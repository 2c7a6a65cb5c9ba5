// Many clients of a REST server at once.
//
//   serve_load_bench URL [CLIENTS] [SECONDS] [CA_FILE]    rest:https://host:port/path/
//
// Every client is a thread with connections and a repository of its own below the URL; files are of
// random bytes, most of some KiB, some of a MiB. Of ten requests four store a file, four read a
// piece of one, one lists, one removes the oldest; a client keeps at most 16 files. What is read is
// compared. Prints requests and bytes a second, and the latencies of each kind; exits with 1 if any
// request failed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include "core/random.h"
#include "crypto/sha256.h"
#include "storage/open.h"

namespace sevenfold::storage {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kKeep = 16;
enum Kind { kStore, kLoad, kList, kRemove, kKinds };
constexpr const char* kNames[] = {"store", "load", "list", "remove"};

struct Figures {
    std::vector<float> milliseconds[kKinds];
    uint64_t sent = 0, received = 0;
    std::vector<std::string> failures;
};

Bytes random_body(SplitMix64& random) {
    uint64_t dice = random.next() % 100;
    size_t size = dice < 80 ? 512 + random.next() % (16 << 10) : dice < 97 ? 64 << 10 : 1 << 20;
    Bytes body(size);
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t part = random.next();
        std::copy_n(reinterpret_cast<const uint8_t*>(&part), 8, body.begin() + i);
    }
    return body;
}

class Client {
  public:
    Client(const std::string& url, unsigned number, const BackendOptions& options)
        : random_(number + 1),
          backend_(open_backend(parse_location(url + std::to_string(number) + "/"), options)) {}

    void run(Clock::time_point end) {
        try {
            backend_->create();
            backend_->store({FileType::config, {}}, as_bytes("a bench's"));
            while (Clock::now() < end) step();
        } catch (const std::exception& error) {
            figures.failures.push_back(error.what());
        }
    }
    Figures figures;

  private:
    template <typename Work>
    void timed(Kind kind, Work&& work) {
        auto begun = Clock::now();
        work();
        std::chrono::duration<float, std::milli> took = Clock::now() - begun;
        figures.milliseconds[kind].push_back(took.count());
    }

    void step() {
        uint64_t dice = random_.next() % 10;
        if (kept_.empty() || (dice < 4 && kept_.size() < kKeep)) return store();
        if (dice < 8) return load();
        if (dice == 8) {
            timed(kList, [&] {
                if (backend_->list_all(FileType::pack).size() != kept_.size())
                    figures.failures.push_back("a listing is not complete");
            });
            return;
        }
        timed(kRemove, [&] { backend_->remove({FileType::pack, kept_.front().id}); });
        kept_.pop_front();
    }

    void store() {
        Bytes body = random_body(random_);
        Id id = crypto::sha256(body);
        timed(kStore, [&] { backend_->store({FileType::pack, id}, body); });
        figures.sent += body.size();
        kept_.push_back({id, std::move(body)});
    }

    void load() {
        const Kept& one = kept_[random_.next() % kept_.size()];
        size_t from = random_.next() % one.body.size();
        size_t size = std::min<size_t>(one.body.size() - from, 256 << 10);
        Bytes came;
        timed(kLoad, [&] { came = backend_->load({FileType::pack, one.id}, from, size); });
        figures.received += came.size();
        if (!std::equal(came.begin(), came.end(), one.body.begin() + from))
            figures.failures.push_back("other bytes came back");
    }

    struct Kept {
        Id id;
        Bytes body;
    };
    SplitMix64 random_;
    std::unique_ptr<Backend> backend_;
    std::deque<Kept> kept_;
};

double part(std::vector<float>& values, double share) {
    if (values.empty()) return 0;
    auto at = values.begin() + static_cast<size_t>(share * static_cast<double>(values.size() - 1));
    std::ranges::nth_element(values, at);
    return *at;
}

int run(const std::string& url, unsigned clients, unsigned seconds, const std::string& ca_file) {
    BackendOptions options;
    options.ca_file = ca_file;
    options.retry_for = options.reach_within = {};
    std::vector<std::unique_ptr<Client>> all;
    for (unsigned i = 0; i < clients; ++i) all.push_back(std::make_unique<Client>(url, i, options));
    auto begun = Clock::now();
    {
        std::vector<std::jthread> threads;
        for (auto& client : all)
            threads.emplace_back([&] { client->run(begun + std::chrono::seconds(seconds)); });
    }
    double took = std::chrono::duration<double>(Clock::now() - begun).count();
    Figures sum;
    size_t requests = 0;
    for (auto& client : all) {
        for (int kind = 0; kind < kKinds; ++kind) {
            auto& from = client->figures.milliseconds[kind];
            sum.milliseconds[kind].insert(sum.milliseconds[kind].end(), from.begin(), from.end());
            requests += from.size();
        }
        sum.sent += client->figures.sent;
        sum.received += client->figures.received;
        for (auto& failure : client->figures.failures) sum.failures.push_back(failure);
    }
    fmt::print(
        "{} clients, {:.1f} s: {:.0f} requests/s, {:.1f} MB/s in, {:.1f} MB/s out, {} failed\n",
        clients, took, static_cast<double>(requests) / took,
        static_cast<double>(sum.sent) / took / 1e6, static_cast<double>(sum.received) / took / 1e6,
        sum.failures.size());
    fmt::print("{:8} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "", "requests", "p50 ms", "p95 ms", "p99 ms",
               "max ms");
    for (int kind = 0; kind < kKinds; ++kind) {
        auto& values = sum.milliseconds[kind];
        fmt::print("{:8} {:>9} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f}\n", kNames[kind], values.size(),
                   part(values, 0.5), part(values, 0.95), part(values, 0.99), part(values, 1));
    }
    for (size_t i = 0; i < std::min<size_t>(sum.failures.size(), 5); ++i)
        fmt::print("failed: {}\n", sum.failures[i]);
    return sum.failures.empty() ? 0 : 1;
}

}  // namespace
}  // namespace sevenfold::storage

int main(int argc, char** argv) {
    if (argc < 2) {
        fmt::print(stderr, "usage: serve_load_bench URL [CLIENTS] [SECONDS] [CA_FILE]\n");
        return 2;
    }
    auto number = [&](int i, unsigned fallback) {
        return argc > i ? static_cast<unsigned>(std::strtoul(argv[i], nullptr, 10)) : fallback;
    };
    return sevenfold::storage::run(argv[1], number(2, 200), number(3, 30), argc > 4 ? argv[4] : "");
}
