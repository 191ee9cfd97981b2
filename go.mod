module redhen

go 1.26.8

require (
	github.com/BurntSushi/toml v1.6.0 // the settings on a card
	github.com/anishathalye/porcupine v1.3.1 // judges in tests whether a history is linearizable
	github.com/caddyserver/certmagic v0.25.6 // certificates by ACME, renewed by whichever box is left
	github.com/chromedp/cdproto v0.159.0 // the commands of that browser
	github.com/chromedp/chromedp v0.23.0 // drives a real browser in tests of the pages
	github.com/diskfs/go-diskfs v1.9.4 // partitions, FAT32 and ext4 of images and of a card's first start
	github.com/fxamacker/cbor/v2 v2.9.6 // deterministic CBOR with limits: every record on disk and on the wire
	github.com/go-webauthn/webauthn v0.18.2 // passkeys: what browsers sign is judged by it
	github.com/gokrazy/firmware v0.0.0-20260522070551-527ce0ed43cf // what a Raspberry Pi reads before the kernel
	github.com/gokrazy/gokrazy v0.0.0-20260418085648-c38c3134b8a7 // start and supervision of an image's programs; dhcp, ntp, randomd
	github.com/gokrazy/kernel.amd64 v0.0.0-20260705070735-de680abf072b // the kernel of the image for PCs and virtual machines
	github.com/gokrazy/kernel.rpi v0.0.0-20251127164438-9778ec0261de // the kernel of the image for Raspberry Pis
	github.com/gokrazy/tools v0.0.0-20260109180632-8ed49b4fafc7 // gok, which builds the root of an image; systemd-boot
	github.com/google/go-cmp v0.7.0 // differences in tests, readable
	github.com/insomniacslk/dhcp v0.0.0-20260901064844-234b97448fae // gives out addresses on the network that a box opens itself
	github.com/letsencrypt/pebble/v2 v2.10.1 // a real authority for certificates, in tests
	github.com/libdns/desec v1.0.1 // proofs to an authority that a name kept at desec.io is ours
	github.com/libdns/libdns v1.1.1 // the interface of those providers
	github.com/libdns/rfc2136 v1.0.1 // the same for any name server that takes signed updates
	github.com/libp2p/go-libp2p v0.51.0 // links between boxes: QUIC, hole punching, relays
	github.com/libp2p/go-libp2p-kad-dht v0.42.2 // the public DHT, by which boxes find each other while no house can be called from outside
	github.com/makiuchi-d/gozxing v0.1.1 // reads a QR code from a photo
	github.com/mdlayher/genetlink v1.4.0 // a request that the client of Wi-Fi does not make: with a ready key
	github.com/mdlayher/netlink v1.11.2 // the attributes of that request
	github.com/mdlayher/wifi v0.10.0 // Wi-Fi networks in reach, and joining them
	github.com/mholt/acmez/v3 v3.1.7 // the words of ACME that certmagic takes
	github.com/miekg/dns v1.1.73 // signed updates of addresses at a name server
	github.com/mr-tron/base58 v1.3.0 // the text of a peer ID
	github.com/multiformats/go-multiaddr v0.16.1 // addresses as libp2p writes them
	github.com/multiformats/go-multistream v0.6.1 // tells a service that is not offered from a broken stream
	github.com/pion/logging v0.2.4 // the logger that pion/mdns asks for
	github.com/pion/mdns/v2 v2.2.2 // answers for NAME.local
	github.com/prometheus/client_golang v1.25.0 // metrics on the local socket
	github.com/quic-go/quic-go v0.64.1 // types of the seam under which tests put a simulated internet
	github.com/rogpeppe/go-internal v1.16.0 // testscript: the command line as users type it
	github.com/spf13/cobra v1.10.2 // the command line
	github.com/tidwall/btree v1.8.2 // sorted layers over a state file, copied on write
	github.com/ulikunitz/xz v0.5.15 // unpacks an image that was downloaded
	github.com/vishvananda/netlink v1.1.0 // the address of a box on that network
	go.etcd.io/bbolt v1.5.0 // the state file of a shard
	go.etcd.io/raft/v3 v3.7.0 // consensus
	go.uber.org/fx v1.24.0 // how libp2p takes the simulated internet in tests
	go.uber.org/zap v1.28.0 // the logger that certmagic asks for
	go.yaml.in/yaml/v3 v3.0.5 // the settings on a card as Raspberry Pi Imager writes them
	golang.org/x/crypto v0.58.0 // argon2id and XChaCha20-Poly1305: passwords and sealed keys
	golang.org/x/image v0.47.0 // letters on the screen of a box
	golang.org/x/net v0.62.0 // XML and properties of WebDAV
	golang.org/x/sync v0.24.0 // errgroup
	golang.org/x/sys v0.49.0 // statfs and devices of the board
	golang.org/x/term v0.47.0 // a password typed unseen
	golang.org/x/text v0.43.0 // normal forms and case folding of names
	google.golang.org/protobuf v1.36.12 // raft's own messages
	rsc.io/qr v0.2.0 // draws QR codes
)

require (
	github.com/ipfs/go-cid v0.6.2 // the name of a place in the public DHT
	github.com/libp2p/go-netroute v0.4.0 // which router leads out, for PCP; libp2p has it in any case
	github.com/multiformats/go-multihash v0.2.3 // the same
)

require (
	filippo.io/bigmod v0.1.1-0.20260103110540-f8a47775ebe5 // indirect
	filippo.io/keygen v1.0.0 // indirect
	github.com/antihax/optional v1.0.0 // indirect
	github.com/beevik/ntp v0.3.0 // indirect
	github.com/benbjohnson/clock v1.3.5 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/bitfield/gotestdox v0.2.2 // indirect
	github.com/caddyserver/zerossl v0.1.6 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/davidlazar/go-crypto v0.0.0-20200604182044-b73af7476f6c // indirect
	github.com/decred/dcrd/dcrec/secp256k1/v4 v4.4.1 // indirect
	github.com/dnephin/pflag v1.0.7 // indirect
	github.com/donovanhide/eventsource v0.0.0-20210830082556-c59027999da0 // indirect
	github.com/dunglas/httpsfv v1.1.1 // indirect
	github.com/elliotwutingfeng/asciiset v0.0.0-20260129054604-cfde2086bc57 // indirect
	github.com/fatih/color v1.18.0 // indirect
	github.com/filecoin-project/go-clock v0.1.0 // indirect
	github.com/flynn/noise v1.1.0 // indirect
	github.com/fsnotify/fsnotify v1.9.0 // indirect
	github.com/go-jose/go-jose/v4 v4.1.4 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/go-logr/logr v1.4.3 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/go-viper/mapstructure/v2 v2.5.0 // indirect
	github.com/go-webauthn/x v0.3.1 // indirect
	github.com/gokrazy/gokapi v0.0.0-20251205165548-0927bab199d4 // indirect
	github.com/gokrazy/internal v0.0.0-20251208203110-3c1aa9087c82 // indirect
	github.com/gokrazy/updater v0.0.0-20250705135802-db129c40879c // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/google/gopacket v1.1.19 // indirect
	github.com/google/renameio/v2 v2.0.0 // indirect
	github.com/google/shlex v0.0.0-20191202100458-e7afc7fbc510 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	github.com/hashicorp/golang-lru v1.0.2 // indirect
	github.com/huin/goupnp v1.3.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/ipfs/boxo v0.41.0 // indirect
	github.com/ipfs/go-datastore v0.9.2 // indirect
	github.com/ipfs/go-log/v2 v2.9.2 // indirect
	github.com/ipld/go-ipld-prime v0.24.0 // indirect
	github.com/jackpal/go-nat-pmp v1.0.2 // indirect
	github.com/jbenet/go-temp-err-catcher v0.1.0 // indirect
	github.com/josharian/native v1.1.0 // indirect
	github.com/kenshaw/evdev v0.1.0 // indirect
	github.com/klauspost/cpuid/v2 v2.4.0 // indirect
	github.com/koron/go-ssdp v0.9.1 // indirect
	github.com/letsencrypt/challtestsrv v1.4.2 // indirect
	github.com/libp2p/go-buffer-pool v0.1.0 // indirect
	github.com/libp2p/go-cidranger v1.1.0 // indirect
	github.com/libp2p/go-flow-metrics v0.3.0 // indirect
	github.com/libp2p/go-libp2p-asn-util v0.4.1 // indirect
	github.com/libp2p/go-libp2p-kbucket v0.9.0 // indirect
	github.com/libp2p/go-libp2p-record v0.3.1 // indirect
	github.com/libp2p/go-libp2p-routing-helpers v0.7.5 // indirect
	github.com/libp2p/go-msgio v0.3.0 // indirect
	github.com/libp2p/go-reuseport v0.4.0 // indirect
	github.com/libp2p/go-yamux/v5 v5.1.0 // indirect
	github.com/libp2p/zeroconf/v2 v2.2.0 // indirect
	github.com/marten-seemann/tcp v0.0.0-20210406111302-dfbc87cc63fd // indirect
	github.com/mattn/go-colorable v0.1.13 // indirect
	github.com/mattn/go-isatty v0.0.22 // indirect
	github.com/mdlayher/packet v1.1.2 // indirect
	github.com/mdlayher/socket v0.6.0 // indirect
	github.com/mdlayher/watchdog v0.0.0-20201005150459-8bdc4f41966b // indirect
	github.com/mikioh/tcpinfo v0.0.0-20190314235526-30a79bb1804b // indirect
	github.com/mikioh/tcpopt v0.0.0-20190314235656-172688c1accc // indirect
	github.com/minio/sha256-simd v1.0.1 // indirect
	github.com/multiformats/go-base32 v0.1.0 // indirect
	github.com/multiformats/go-base36 v0.2.0 // indirect
	github.com/multiformats/go-multiaddr-dns v0.6.0 // indirect
	github.com/multiformats/go-multiaddr-fmt v0.1.0 // indirect
	github.com/multiformats/go-multibase v0.3.0 // indirect
	github.com/multiformats/go-multicodec v0.10.0 // indirect
	github.com/multiformats/go-varint v0.1.0 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/pbnjay/memory v0.0.0-20210728143218-7b4eea64cf58 // indirect
	github.com/philhofer/fwd v1.2.0 // indirect
	github.com/pierrec/lz4/v4 v4.1.26 // indirect
	github.com/pion/datachannel v1.5.10 // indirect
	github.com/pion/dtls/v3 v3.1.4 // indirect
	github.com/pion/ice/v4 v4.0.10 // indirect
	github.com/pion/interceptor v0.1.40 // indirect
	github.com/pion/randutil v0.1.0 // indirect
	github.com/pion/rtcp v1.2.16 // indirect
	github.com/pion/rtp v1.8.19 // indirect
	github.com/pion/sctp v1.8.39 // indirect
	github.com/pion/sdp/v3 v3.0.18 // indirect
	github.com/pion/srtp/v3 v3.0.6 // indirect
	github.com/pion/stun/v3 v3.1.5 // indirect
	github.com/pion/transport/v3 v3.0.7 // indirect
	github.com/pion/transport/v4 v4.0.2 // indirect
	github.com/pion/turn/v4 v4.0.2 // indirect
	github.com/pion/webrtc/v4 v4.1.2 // indirect
	github.com/polydawn/refmt v0.90.0 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/quic-go/qpack v0.6.0 // indirect
	github.com/quic-go/webtransport-go v0.13.0 // indirect
	github.com/rtr7/dhcp4 v0.0.0-20220302171438-18c84d089b46 // indirect
	github.com/spaolacci/murmur3 v1.1.0 // indirect
	github.com/spf13/pflag v1.0.10 // indirect
	github.com/tinylib/msgp v1.6.4 // indirect
	github.com/u-root/uio v0.0.0-20230220225925-ffce2a382923 // indirect
	github.com/vishvananda/netns v0.0.0-20211101163701-50045581ed74 // indirect
	github.com/whyrusleeping/go-keyspace v0.0.0-20160322163242-5b898ac5add1 // indirect
	github.com/wlynxg/anet v0.0.5 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	github.com/zeebo/blake3 v0.2.4 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.44.0 // indirect
	go.opentelemetry.io/otel/metric v1.44.0 // indirect
	go.opentelemetry.io/otel/trace v1.44.0 // indirect
	go.uber.org/dig v1.19.0 // indirect
	go.uber.org/mock v0.6.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap/exp v0.3.0 // indirect
	golang.org/x/crypto/x509roots/fallback v0.0.0-20250911151450-96dc232fbd79 // indirect
	golang.org/x/exp v0.0.0-20260718201538-764159d718ef // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/oauth2 v0.37.0 // indirect
	golang.org/x/telemetry v0.0.0-20260924152758-ed294f943157 // indirect
	golang.org/x/time v0.16.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	golang.org/x/xerrors v0.0.0-20240903120638-7835f813f4da // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
	gotest.tools/gotestsum v1.13.0 // indirect
	honnef.co/go/tools v0.8.2 // indirect
	lukechampine.com/blake3 v1.4.1 // indirect
)

tool (
	gotest.tools/gotestsum // runs a test that failed once more, alone, and tells of both
	honnef.co/go/tools/cmd/staticcheck
)
