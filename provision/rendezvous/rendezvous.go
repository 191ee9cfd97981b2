// Package rendezvous is the last rung of the ladder: computers of strangers, by which
// two boxes that nobody can call find each other. The public DHT keeps where a box is,
// and public relays pass the first words, until the boxes have punched a way of their own.
//
// What strangers learn: that the addresses of a house and a key made of the box's name
// belong together. A box that is not known by name cannot be found.
package rendezvous

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"

	"redhen/provision/ident"
)

const (
	maxAddrs     = 8 // taken from one answer
	maxProviders = 4 // looked at for one box
)

// ErrNobody says that no stranger answers.
var ErrNobody = errors.New("rendezvous: no stranger answers")

// Config says how strangers are met.
type Config struct {
	// Host makes a host that listens nowhere, for the talk with strangers. Its name
	// must not be that of the box.
	Host func(...libp2p.Option) (host.Host, error)
	// Bootstrap is whom to ask first; nil = the public DHT's own.
	Bootstrap []peer.AddrInfo
	Logger    *slog.Logger // nil = none
}

// Strangers is a client of the DHT. It is safe for concurrent use.
type Strangers struct {
	cfg   Config
	host  host.Host
	dht   *dht.IpfsDHT
	addrs atomic.Pointer[[]ma.Multiaddr] // of the box, as last announced

	announcing sync.Mutex // one at a time
}

var _ io.Closer = (*Strangers)(nil)

// Meet connects to the DHT.
func Meet(ctx context.Context, cfg Config) (*Strangers, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Strangers{cfg: cfg}
	s.addrs.Store(&[]ma.Multiaddr{})
	if cfg.Bootstrap == nil {
		s.cfg.Bootstrap = dht.GetDefaultBootstrapPeerAddrInfos()
	}
	var err error
	s.host, err = cfg.Host(libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return *s.addrs.Load() }))
	if err != nil {
		return nil, fmt.Errorf("meet strangers: %w", err)
	}
	s.dht, err = dht.New(s.host, dht.Mode(dht.ModeClient), dht.BootstrapPeers(s.cfg.Bootstrap...), dht.DisableAutoRefresh())
	if err == nil {
		err = s.begin(ctx)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("meet strangers: %w", err)
	}
	return s, nil
}

// begin connects to those who are asked first, and learns of their neighbours.
func (s *Strangers) begin(ctx context.Context) error {
	var wg sync.WaitGroup
	var met atomic.Int32
	for _, p := range s.cfg.Bootstrap {
		wg.Go(func() {
			if s.host.Connect(ctx, p) == nil {
				met.Add(1)
			}
		})
	}
	wg.Wait()
	if met.Load() == 0 {
		return ErrNobody
	}
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for s.dht.RoutingTable().Size() == 0 { // whoever is met is first asked whether it serves
		select {
		case <-look.C:
		case <-ctx.Done():
			return ErrNobody
		}
	}
	select {
	case err := <-s.dht.RefreshRoutingTable():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the talk.
func (s *Strangers) Close() error {
	if s.dht != nil {
		s.dht.Close()
	}
	return s.host.Close()
}

// place is where the DHT keeps what belongs to a box.
func place(box ident.BoxID) cid.Cid {
	sum := sha256.Sum256([]byte("redhen box " + string(box)))
	h, err := multihash.Encode(sum[:], multihash.SHA2_256)
	if err != nil {
		panic(err) // a hash of the right length always encodes
	}
	return cid.NewCidV1(cid.Raw, h)
}

// Announce tells where a box is. Strangers forget it after a day or two.
func (s *Strangers) Announce(ctx context.Context, box ident.BoxID, addrs []ma.Multiaddr) error {
	s.announcing.Lock()
	defer s.announcing.Unlock()
	addrs = slices.Clone(addrs[:min(len(addrs), maxAddrs)])
	s.addrs.Store(&addrs)
	if err := s.dht.Provide(ctx, place(box), true); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	return nil
}

// Find returns where a box said it is, the newest or not: hints, proved by connecting.
func (s *Strangers) Find(ctx context.Context, box ident.BoxID) (addrs []ma.Multiaddr) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for p := range s.dht.FindProvidersAsync(ctx, place(box), maxProviders) {
		for _, a := range p.Addrs[:min(len(p.Addrs), maxAddrs)] {
			if !slices.ContainsFunc(addrs, a.Equal) {
				addrs = append(addrs, a)
			}
		}
		if len(addrs) > 0 {
			return addrs // further ones are older, and a person waits
		}
	}
	return addrs
}

// Relays returns strangers that offer to relay, those met first.
func (s *Strangers) Relays(ctx context.Context, max int) (list []peer.AddrInfo) {
	for _, p := range s.dht.RoutingTable().ListPeers() {
		if ctx.Err() != nil || len(list) == max {
			break
		}
		got, err := s.host.Peerstore().SupportsProtocols(p, proto.ProtoIDv2Hop)
		addrs := s.host.Peerstore().Addrs(p)
		if err == nil && len(got) > 0 && len(addrs) > 0 {
			list = append(list, peer.AddrInfo{ID: p, Addrs: addrs[:min(len(addrs), maxAddrs)]})
		}
	}
	return list
}

// Patience is how long a search may take: the public DHT is wide.
const Patience = 30 * time.Second
