package firstboot

import (
	"net/netip"
	"testing"

	"redhen/provision/ident"
	"redhen/provision/ticket"
)

// ticketText is the text of a ticket that nobody made.
func ticketText(t *testing.T) string {
	t.Helper()
	key, err := ident.NewKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	tk, err := ticket.New(key.BoxID(), ticket.NewSecret(), []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:4717")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tk.Text()
}
