package vmtest

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redhen/images/layout"
)

// pace is how long a step of the day may take on a computer with much else to do.
const pace = 10 * time.Minute

// town makes houses that have nothing in common but the internet.
func town(t *testing.T, n int) (houses []*House) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("houses are network namespaces, which need root")
	}
	for _, tool := range []string{"ip", "rclone", "chromium"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: make setup", tool)
		}
	}
	all, err := NewTown()
	t.Cleanup(all.Close)
	if err != nil {
		t.Skipf("this kernel gives no network namespaces: %v", err)
	}
	for range n {
		h, err := all.House()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
		houses = append(houses, h)
	}
	return houses
}

// settle plugs a box in at a house.
func settle(t *testing.T, h *House, disk string, extra ...string) *Machine {
	t.Helper()
	return start(t, Config{
		Board: layout.AMD64, Disk: disk, Dir: t.TempDir(), House: h, Memory: 512,
		Direct: true, Line: layout.PromoteLine(2 * time.Second), Extra: extra,
	})
}

// blank is an empty card.
func blank(t *testing.T) string {
	t.Helper()
	disk := filepath.Join(t.TempDir(), "card")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, cardSize); err != nil {
		t.Fatal(err)
	}
	return disk
}

// fresh is a card with the image.
func fresh(t *testing.T) string {
	t.Helper()
	disk := filepath.Join(t.TempDir(), "card")
	if err := Card(image(t, layout.AMD64), disk, cardSize); err != nil {
		t.Fatal(err)
	}
	return disk
}

// TestTheUsersDay is the day of three friends. Anna claims a box, and has it bake the card
// of a friend's: Ben's box joins by itself when he plugs it in. Clara's is paired by the
// code on Anna's screen. Anna fills hers; her house burns; she logs in at Ben's, has all,
// and goes on. A new box takes the place of the old one, and the circle is whole.
func TestTheUsersDay(t *testing.T) {
	need(t, layout.AMD64, "all")
	houses := town(t, 3)
	mill, oak, weir := houses[0], houses[1], houses[2]

	gift, annas := blank(t), fresh(t)
	one := settle(t, mill, annas, "-drive", "file="+gift+",format=raw,if=none,id=reader,cache=unsafe", "-device", "virtio-blk-pci,drive=reader,addr=0x1e")
	answers(t, one, "/", "Hello")
	claim(t, one)
	anna := at(t, one, "anna", password).logsIn()
	anna.knowsWhereSheIs(mill)
	code := anna.bakes(gift)
	if _, err := one.Order("drive_del reader"); err != nil { // the card is taken out of the box
		t.Fatal(err)
	}

	two := settle(t, oak, gift)
	anna.letsIn(pace)
	ben := at(t, two, "ben", "an oak and a robin")
	ben.takes(code)
	anna.waits("safe in two houses", pace, safeIn(2))

	three := settle(t, weir, fresh(t))
	answers(t, three, "/", "Hello")
	clara := at(t, three, "clara", "seven warm eggs")
	clara.joins(anna.invites(), "The Weir", "weir")
	anna.letsIn(pace)
	anna.waits("safe in three houses", pace, safeIn(3))

	files := drawFiles(t, 40)
	rclone(t, one, "copy", files, ":webdav:photos")
	anna.waits("all of it is safe", pace, safeIn(3))
	one.Cut()
	if err := os.Remove(annas); err != nil {
		t.Fatal(err)
	}
	t.Log("Mill Lane has burned down")

	at(t, two, "anna", password).logsIn()
	rclone(t, two, "check", "--download", files, ":webdav:photos")
	write(t, two, "after the fire.txt", "we are all well")
	four := settle(t, mill, fresh(t))
	answers(t, four, "/", "Hello")
	ben.logsIn()
	back := at(t, four, "anna", password)
	back.joins(ben.invites(), "Mill Lane, rebuilt", "mill2")
	ben.letsIn(pace)
	ben.replaces("mill", "Mill Lane", "mill2")
	clara.logsIn().replaces("mill", "Mill Lane", "mill2") // of three keepers two say so
	ben.waits("the circle is whole", 2*pace, safeIn(3))
	back.arrives()
	rclone(t, four, "check", "--download", files, ":webdav:photos")
	has(t, four, "after the fire.txt", "we are all well")
}

// knowsWhereSheIs waits until the box knows its public address, as a gift must name it.
func (p *person) knowsWhereSheIs(h *House) {
	p.t.Helper()
	var box struct{ Addresses []netip.AddrPort }
	for end := time.Now().Add(pace); !slices.Contains(box.Addresses, netip.AddrPortFrom(h.Public, boxPort)); time.Sleep(2 * time.Second) {
		p.asks(http.MethodGet, "/v1/box", nil, &box)
		if time.Now().After(end) {
			p.t.Fatalf("the box does not know its address %s: %v", h.Public, box.Addresses)
		}
	}
}

// bakes has the box write the card of a gift, and returns the code of the gift card.
func (p *person) bakes(card string) string {
	p.t.Helper()
	begin := time.Now()
	var g struct{ Written, Code string }
	order := map[string]any{"house": "Oak Street", "box": "oak", "keeper": "ben", "onto": "/dev/vdb", "any-disk": true}
	p.asks(http.MethodPost, "/v1/gifts", order, &g)
	if g.Written == "" || !holds(p.t, card, "Oak Street") {
		p.t.Fatalf("baked %q, and the card names its house: %t", g.Written, holds(p.t, card, "Oak Street"))
	}
	p.t.Logf("the box baked a card in %.0f s", time.Since(begin).Seconds())
	return g.Code
}

// takes makes a person the keeper of the gift.
func (p *person) takes(code string) {
	p.t.Helper()
	answers(p.t, p.m, "/receive", "Oak Street")
	p.sends("/receive", url.Values{"code": {code}, "person": {"Ben"}, "login": {p.login}, "password": {p.password}})
	p.logsIn()
}

// joins fills in the form to which the code of a friend leads.
func (p *person) joins(link, house, box string) {
	p.t.Helper()
	if !strings.HasPrefix(link, "http://redhen.local/p#") {
		p.t.Fatalf("the code says %q", link)
	}
	p.sends("/join", url.Values{"ticket": {link}, "house": {house}, "box": {box}, "person": {p.login}, "login": {p.login}, "password": {p.password}})
}

// arrives waits until the person's files are in reach at a box that has just joined.
func (p *person) arrives() {
	p.t.Helper()
	for end := time.Now().Add(pace); ; time.Sleep(2 * time.Second) {
		if _, err := p.ask(http.MethodPost, "/login", strings.NewReader(url.Values{"login": {p.login}, "password": {p.password}}.Encode())); err == nil {
			return
		} else if time.Now().After(end) {
			p.t.Fatalf("%s cannot log in: %v", p.login, err)
		}
	}
}

// replaces says that one box takes the place of another that is gone with its house, and
// says so again where the page asks for that.
func (p *person) replaces(lost, house, by string) {
	p.t.Helper()
	form := url.Values{"box": {lost}, "confirm": {house}, "replacement": {by}, "password": {p.password}}
	said, sent := "", false
	for end := time.Now().Add(pace); time.Now().Before(end); time.Sleep(2 * time.Second) {
		said = words(p.opens("/circle/gone?box=" + lost))
		switch offered := strings.Contains(said, by); {
		case !offered && sent: // it came to pass after all
			return
		case offered:
			page, err := p.ask(http.MethodPost, "/circle/gone", strings.NewReader(form.Encode()))
			if err == nil {
				return
			}
			said, sent = words(page), true
			p.t.Logf("%s is told: %v: %.300s", p.login, err, said)
		}
	}
	p.t.Fatalf("%s cannot say that %s takes the place of %s: %.2000s", p.login, by, lost, said)
}

// drawFiles makes a folder of files that all differ.
func drawFiles(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		b := []byte(strings.Repeat(fmt.Sprintf("picture %d of the hens\n", i), 2000*(i%10)+100))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("hen %02d.txt", i)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// rclone works on Anna's files at a box.
func rclone(t *testing.T, m *Machine, args ...string) {
	t.Helper()
	secret, err := exec.Command("rclone", "obscure", password).Output()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	cmd := exec.CommandContext(t.Context(), "rclone", append([]string{"--config", "/dev/null", "--webdav-url", m.URL() + "/dav/anna", "--webdav-user", "anna",
		"--webdav-pass", strings.TrimSpace(string(secret)), "--webdav-vendor", "other", "--transfers", "2", "--checkers", "2"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rclone %s: %v\n%s", args[0], err, out)
	}
	t.Logf("rclone %s took %.0f s", args[0], time.Since(begin).Seconds())
}
