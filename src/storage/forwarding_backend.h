// What decorators start from: a backend that passes everything on to another one that it owns.
#pragma once

#include <memory>
#include <utility>

#include "storage/backend.h"

namespace sevenfold::storage {

class ForwardingBackend : public Backend {
  public:
    explicit ForwardingBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

    std::string location() const override { return inner_->location(); }
    Capabilities capabilities() const override { return inner_->capabilities(); }
    void create() override { inner_->create(); }
    void store(const FileName& name, ByteView body) override { inner_->store(name, body); }
    Bytes load(const FileName& name, uint64_t offset, size_t length) override {
        return inner_->load(name, offset, length);
    }
    Bytes load_all(const FileName& name, uint64_t limit = UINT64_MAX) override {
        return inner_->load_all(name, limit);
    }
    uint64_t size(const FileName& name) override { return inner_->size(name); }
    void list(FileType type, const std::function<void(const FileInfo&)>& each) override {
        inner_->list(type, each);
    }
    void remove(const FileName& name) override { inner_->remove(name); }
    std::optional<uint64_t> free_space() override { return inner_->free_space(); }
    Versions* versions() override { return inner_->versions(); }

  protected:
    Backend& inner() { return *inner_; }
    const Backend& inner() const { return *inner_; }

  private:
    std::unique_ptr<Backend> inner_;
};

}  // namespace sevenfold::storage
