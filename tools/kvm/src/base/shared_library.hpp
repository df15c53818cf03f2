// SPDX-License-Identifier: GPL-2.0-only
//
// A shared library that is loaded when a machine first needs it, so that neither building the VMM
// nor any other machine requires it. It is never closed: its dependencies may not be unloadable, as
// GLib isn't. Any thread.
#pragma once

#include <string>

namespace vmm::base {

class SharedLibrary {
 public:
  // `wanted` begins the error's text and says what needs the library; `fix` ends it with what to
  // install. Throws ConfigError when there is no library of that soname.
  SharedLibrary(std::string soname, std::string wanted, std::string fix);

  // Sets `function`, a function pointer, to the symbol. Throws ConfigError when there is none.
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
