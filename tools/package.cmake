# What is installed beside the program and the libraries: manual pages, completion, documents; and the Debian package of all that.
#
# `cmake --install BUILD` runs the program for its pages and scripts, under CMAKE_CROSSCOMPILING_EMULATOR where the program is another
# machine's.
if(TARGET minbert)
  set(MINBERT_GENERATED ${PROJECT_BINARY_DIR}/generated)
  string(REPLACE ";" " " MINBERT_EMULATOR "${CMAKE_CROSSCOMPILING_EMULATOR}")
  install(CODE "
    separate_arguments(emulator UNIX_COMMAND \"${MINBERT_EMULATOR}\")
    file(REMOVE_RECURSE \"${MINBERT_GENERATED}\")
    file(MAKE_DIRECTORY \"${MINBERT_GENERATED}\")
    function(run_minbert)
      cmake_parse_arguments(RUN \"\" OUTPUT_FILE \"\" \${ARGN})
      set(output)
      if(RUN_OUTPUT_FILE)
        set(output OUTPUT_FILE \${RUN_OUTPUT_FILE})
      endif()
      execute_process(COMMAND \${emulator} \"$<TARGET_FILE:minbert>\" \${RUN_UNPARSED_ARGUMENTS} \${output} RESULT_VARIABLE result)
      if(NOT result EQUAL 0)
        message(FATAL_ERROR \"minbert \${ARGN}: \${result}\")
      endif()
    endfunction()
    run_minbert(help --man-pages \"${MINBERT_GENERATED}/man1\")
    run_minbert(completion bash OUTPUT_FILE \"${MINBERT_GENERATED}/minbert\")
    run_minbert(completion zsh OUTPUT_FILE \"${MINBERT_GENERATED}/_minbert\")
    run_minbert(completion fish OUTPUT_FILE \"${MINBERT_GENERATED}/minbert.fish\")")
  install(DIRECTORY ${MINBERT_GENERATED}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
  install(FILES ${MINBERT_GENERATED}/minbert DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${MINBERT_GENERATED}/_minbert DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
  install(FILES ${MINBERT_GENERATED}/minbert.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/minbert RENAME copyright)  # the name that Debian gives it
install(FILES NOTICE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/minbert)
install(DIRECTORY recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/minbert)

# `cpack -G DEB` in a build folder. Its dependencies are those of the libraries that program and libraries link.
set(CPACK_PACKAGE_NAME minbert)
set(CPACK_PACKAGE_CONTACT "the minbert authors <minbert@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "fine-tunes BERT on several sentence tasks at once")
set(CPACK_PACKAGE_DESCRIPTION "A program and a library that fine-tune BERT on several sentence-level tasks, and use, serve and export the result.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR})  # libminbert_c links libminbert
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)  # for `minbert fetch`
# A program that links the static libraries needs the headers of what they link.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "cmake, g++, libdnnl-dev, libfmt-dev, libhwy-dev, libssl-dev, libtomlplusplus-dev, nlohmann-json3-dev")
if(CMAKE_CROSSCOMPILING)
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE ${MINBERT_DEBIAN_ARCHITECTURE})
endif()
include(CPack)
