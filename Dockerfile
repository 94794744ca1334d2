# An image of the program and what it links, and nothing else: no shell, no packages, a user without rights.
#
#   docker build -t minbert .
#   docker run --rm minbert --help
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" minbert train --init models/all-MiniLM-L6-v2 --train my.csv --text text --label label -o runs/mine
#   docker run --rm -v "$PWD:/work" -p 8080:8080 minbert serve runs/mine --host 0.0.0.0
FROM debian:bookworm AS build
COPY tools/install_dependencies.sh /src/tools/
RUN apt-get update -qq && /src/tools/install_dependencies.sh && apt-get install -y -qq --no-install-recommends ca-certificates
COPY . /src
WORKDIR /src
RUN cmake --preset release -DMINBERT_TESTS=OFF -DMINBERT_BENCH=OFF && cmake --build --preset release --target minbert \
  && tools/image_root.sh build/release/minbert /image

FROM scratch
COPY --from=build /image /
USER 10001:10001
WORKDIR /work
EXPOSE 8080
ENTRYPOINT ["/usr/bin/minbert"]
CMD ["--help"]
