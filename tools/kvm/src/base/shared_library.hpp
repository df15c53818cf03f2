// SPDX-License-Identifier: GPL-2.0-only
//
// A shared library that is looked for when a machine first wants it, so that neither building the
// VMM nor any other machine needs it. It is never closed: what it brings along may not be
// unloadable, as GLib isn't. Any thread.
#pragma once

#include <string>

namespace vmm::base {

class SharedLibrary {
 public:
  // `wanted` begins the error's text, and says who needs what; `fix` ends it, what to install.
  // Throws ConfigError when there is no library of that soname.
  SharedLibrary(std::string soname, std::string wanted, std::string fix);

  // Points `function`, a pointer to one, at the symbol. Throws ConfigError when there is none.
  template <class Function>
  void resolve(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(symbol(name));
  }

 private:
  void* symbol(const char* name) const;
  [[noreturn]] void fail(const std::string& why) const;

  const std::string soname_;
  const std::string wanted_;
  const std::string mend_;
  void* handle_;
};

}  // namespace vmm::base
