# find_package(minbert): the installed rooms and the libraries that they link.
include(CMakeFindDependencyMacro)
foreach(library CURL dnnl fmt HWY nlohmann_json OpenMP OpenSSL Threads tomlplusplus)
  find_dependency(${library})
endforeach()
include(${CMAKE_CURRENT_LIST_DIR}/minbert-targets.cmake)
