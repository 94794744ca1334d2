# The libraries that programs link, libminbert (shared and static) and libminbert_c, and all that is installed beside them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(rooms base ops_core ops_ref ops_cpu ops tokenizer data model stats pipeline train)  # what minbert/pipeline.h reaches
set(objects "")
set(foreign "")
foreach(room IN LISTS rooms)
  list(APPEND objects $<TARGET_OBJECTS:minbert_${room}>)
  get_property(links GLOBAL PROPERTY MINBERT_${room}_FOREIGN)
  list(APPEND foreign ${links})
endforeach()
list(REMOVE_DUPLICATES foreign)

# A library of all objects of these rooms; `exported` is the target's name after minbert::.
function(minbert_library target kind output exported)
  add_library(${target} ${kind} ${ARGN})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME ${output} EXPORT_NAME ${exported}
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} INSTALL_RPATH "$ORIGIN" UNITY_BUILD OFF
    INTERFACE_COMPILE_FEATURES cxx_std_20)
  target_include_directories(${target} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endfunction()

# Links a shared library so that it shows only the names of a version script.
function(minbert_show_only target map)
  target_link_options(${target} PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/tools/${map} -Wl,--no-undefined)
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/tools/${map})
  if(MINBERT_SANITIZE)
    target_link_options(${target} PRIVATE -fsanitize=${MINBERT_SANITIZE} -Wl,-z,undefs)
  endif()
endfunction()

minbert_library(minbert_shared SHARED minbert shared ${objects})
target_link_libraries(minbert_shared PRIVATE minbert_train)  # for what this and its rooms link
minbert_show_only(minbert_shared exported.map)
minbert_library(minbert_static STATIC minbert static ${objects})
foreach(library IN LISTS foreign)
  target_link_libraries(minbert_static INTERFACE $<INSTALL_INTERFACE:${library}>)
endforeach()
minbert_library(minbert_c SHARED minbert_c c $<TARGET_OBJECTS:minbert_capi>)
target_link_libraries(minbert_c PRIVATE minbert_shared fmt::fmt)
set_target_properties(minbert_c PROPERTIES INTERFACE_COMPILE_FEATURES c_std_99)
minbert_show_only(minbert_c exported_c.map)

# Programs include <minbert/pipeline.h> or <minbert.h>; the other headers are those that the former includes.
install(FILES minbert/pipeline.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/minbert)
install(FILES minbert/base/error.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/minbert/base)
install(FILES minbert/pipeline/api.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/minbert/pipeline)
install(FILES minbert/train/api.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/minbert/train)
install(FILES minbert/capi/minbert.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/minbert)
install(TARGETS minbert_shared minbert_c EXPORT minbert-shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS minbert_static EXPORT minbert-static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(kind shared static)
  install(EXPORT minbert-${kind} FILE minbert-${kind}-targets.cmake NAMESPACE minbert:: DESTINATION ${package})
endforeach()
configure_package_config_file(tools/minbertConfig.cmake.in ${PROJECT_BINARY_DIR}/minbertConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/minbertConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/minbertConfig.cmake ${PROJECT_BINARY_DIR}/minbertConfigVersion.cmake DESTINATION ${package})

# minbert_pc(NAME DESCRIPTION PRIVATE REQUIRES): a file for pkg-config; PRIVATE is what a static library needs beside it.
function(minbert_pc name description private requires)
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)  # the prefix, from where the file is installed
  configure_file(${PROJECT_SOURCE_DIR}/tools/minbert.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
minbert_pc(minbert "BERT for several sentence-level tasks at once" "-ldnnl -lhwy -lfmt -lcrypto -ltomlplusplus -lgomp -lpthread" "")
minbert_pc(minbert_c "BERT for several sentence-level tasks at once, for C" "" "")
