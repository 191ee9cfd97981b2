package rendezvous

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"redhen/provision/ident"
)

// Rule: the place of a box in the DHT never changes, or boxes of two versions do not
// find each other. (What is done there is tested on the internet of p2ptest.)
func TestThePlaceOfABox(t *testing.T) {
	const box = ident.BoxID("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")
	const want = "bafkreiattzeimpc7q4maf3g2bvf3bnbrlprzxta3z4gxumvg4fpnbvair4"
	if got := place(box).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if place(box) == place(box+"x") {
		t.Error("two boxes at one place")
	}
}

// Rule: without an internet it says so, within its time, and leaves nothing behind.
func TestNobodyAnswers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	nobody, err := peer.Decode("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")
	if err != nil {
		t.Fatal(err)
	}
	var made host.Host
	_, err = Meet(ctx, Config{
		Host: func(opts ...libp2p.Option) (host.Host, error) {
			var err error
			made, err = libp2p.New(append(opts, libp2p.NoListenAddrs, libp2p.DisableMetrics())...)
			return made, err
		},
		Bootstrap: []peer.AddrInfo{{ID: nobody, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1")}}},
	})
	if !errors.Is(err, ErrNobody) {
		t.Errorf("got %v, want ErrNobody", err)
	}
	if len(made.Network().Conns()) != 0 {
		t.Error("connections are left")
	}
}
