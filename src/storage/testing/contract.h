// The contract that every backend, wrapped in decorators or not, passes. In a test file:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, BackendContract,
//                            testing::Values(contract("memory", [] { … })), contract_name);
//
// Each test makes its own empty place; open() may be called more than once on it and must show what
// an earlier backend object stored (reopening).
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "core/error.h"
#include "storage/backend.h"

namespace sevenfold::storage {

// One empty place for one test. Its destructor removes what is left of it.
class ContractPlace {
  public:
    virtual ~ContractPlace() = default;
    virtual std::unique_ptr<Backend> open() = 0;
};

struct ContractCase {
    std::string name;
    std::function<std::unique_ptr<ContractPlace>()> make;
};

// A case; calling it also links the tests into the binary.
ContractCase contract(std::string name, std::function<std::unique_ptr<ContractPlace>()> make);
std::string contract_name(const testing::TestParamInfo<ContractCase>& info);

class BackendContract : public testing::TestWithParam<ContractCase> {
  protected:
    void SetUp() override {
        place_ = GetParam().make();
        backend_ = place_->open();
    }
    void TearDown() override {
        backend_.reset();
        place_.reset();
    }
    std::unique_ptr<ContractPlace> place_;
    std::unique_ptr<Backend> backend_;
};

// Makes a place from a folder under the tests' temporary folder: open(path of an empty folder).
ContractCase folder_contract(std::string name,
                             std::function<std::unique_ptr<Backend>(const std::string& path)> open);

// A backend that forwards to one that somebody else owns.
class BorrowedBackend : public Backend {
  public:
    explicit BorrowedBackend(Backend& inner) : inner_(inner) {}
    std::string location() const override { return inner_.location(); }
    Capabilities capabilities() const override { return inner_.capabilities(); }
    void create() override { inner_.create(); }
    void store(const FileName& name, ByteView body) override { inner_.store(name, body); }
    Bytes load(const FileName& name, uint64_t offset, size_t length) override {
        return inner_.load(name, offset, length);
    }
    Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX) override {
        return inner_.load_all(name, limit);
    }
    uint64_t size(const FileName& name) override { return inner_.size(name); }
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override {
        inner_.list(type, each);
    }
    void remove(const FileName& name) override { inner_.remove(name); }
    std::optional<uint64_t> free_space() override { return inner_.free_space(); }

  private:
    Backend& inner_;
};

// A name and a body made from a seed.
FileName test_name(FileType type, uint64_t seed);
Bytes test_body(size_t size, uint64_t seed);

// A folder under the tests' temporary folder that goes away with its contents.
class TestFolder {
  public:
    TestFolder();
    ~TestFolder();
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;
    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

// EXPECT that a call throws an Error of a kind; returns it for more looks.
Error expect_error(ErrorKind kind, const std::function<void()>& call);

}  // namespace sevenfold::storage
