package domain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/libdns/desec"
	"github.com/libdns/libdns"
	"github.com/libdns/rfc2136"
	"github.com/miekg/dns"
)

var (
	// ErrToken says that the provider refuses our token or key.
	ErrToken = errors.New("domain: the provider refuses the token")
	// ErrTaken says that the provider does not give us the name.
	ErrTaken = errors.New("domain: the name is not to be had")
)

// Host is a name and all its addresses; without any it has none.
type Host struct {
	Name  string // full, without the dot at the end
	Addrs []netip.Addr
}

// Provider keeps the records of a name.
type Provider interface {
	// Prepare asks whether the provider takes our word for the name, and takes the name
	// where it is given away. It fills in what the provider prescribes.
	Prepare(ctx context.Context, s *Settings) error
	// Point replaces all addresses of the hosts. The errors wrap ErrToken, or are of the way there.
	Point(ctx context.Context, hosts []Host, ttl time.Duration) error
	// Challenges puts records by which an authority sees that the name is ours; nil: it cannot.
	Challenges() Challenges
}

// Challenges is what package certs needs of a provider.
type Challenges interface {
	libdns.RecordAppender
	libdns.RecordDeleter
}

// NewProvider returns the provider that settings name.
func NewProvider(s Settings) Provider {
	switch s.Provider {
	case DeSEC:
		return &desecProvider{zone: s.Zone, token: s.Token, api: desecAPI}
	case RFC2136:
		return &updates{s}
	}
	return byHand{}
}

type byHand struct{}

func (byHand) Prepare(context.Context, *Settings) error           { return nil }
func (byHand) Point(context.Context, []Host, time.Duration) error { return nil }
func (byHand) Challenges() Challenges                             { return nil }

// updates is a name server that takes signed updates (RFC 2136, RFC 8945).
type updates struct{ s Settings }

// Prepare removes a record that is not there: it needs the same right as all that follows.
func (u *updates) Prepare(ctx context.Context, _ *Settings) error {
	return u.Point(ctx, []Host{{Name: "redhen-was-here." + u.s.Domain}}, time.Minute)
}

func (u *updates) Point(ctx context.Context, hosts []Host, ttl time.Duration) error {
	msg := new(dns.Msg)
	msg.SetUpdate(dns.Fqdn(u.s.Zone))
	for _, h := range hosts {
		name := dns.Fqdn(h.Name)
		msg.RemoveRRset([]dns.RR{
			&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA}},
			&dns.AAAA{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeAAAA}},
		})
		var rrs []dns.RR
		for _, a := range h.Addrs {
			hdr := dns.RR_Header{Name: name, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
			if a.Is4() {
				hdr.Rrtype = dns.TypeA
				rrs = append(rrs, &dns.A{Hdr: hdr, A: net.IP(a.AsSlice())})
			} else {
				hdr.Rrtype = dns.TypeAAAA
				rrs = append(rrs, &dns.AAAA{Hdr: hdr, AAAA: net.IP(a.AsSlice())})
			}
		}
		if len(rrs) > 0 {
			msg.Insert(rrs)
		}
	}
	return u.send(ctx, msg)
}

func (u *updates) send(ctx context.Context, msg *dns.Msg) error {
	key := dns.Fqdn(u.s.KeyName)
	msg.SetTsig(key, dns.Fqdn(u.s.KeyAlg), 300, time.Now().Unix())
	c := &dns.Client{Net: "tcp", TsigSecret: map[string]string{key: u.s.Key}}
	m, _, err := c.ExchangeContext(ctx, msg, u.s.Server)
	switch {
	case m != nil && (m.Rcode == dns.RcodeNotAuth || m.Rcode == dns.RcodeRefused):
		return fmt.Errorf("%w: %s", ErrToken, dns.RcodeToString[m.Rcode])
	case err != nil:
		return fmt.Errorf("domain: ask %s: %w", u.s.Server, err)
	case m.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("domain: %s answered %s", u.s.Server, dns.RcodeToString[m.Rcode])
	}
	return nil
}

func (u *updates) Challenges() Challenges {
	return &rfc2136.Provider{KeyName: u.s.KeyName, KeyAlg: u.s.KeyAlg, Key: u.s.Key, Server: u.s.Server}
}

func (d *desecProvider) Challenges() Challenges { return &desec.Provider{Token: d.token} }

// relative is the part of a name before its zone, empty for the zone itself.
func relative(name, zone string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, zone), ".")
}
