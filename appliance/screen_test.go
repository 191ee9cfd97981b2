package appliance

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"net/netip"
	"strings"
	"testing"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/firstboot"
	"redhen/appliance/status"
	"redhen/board/panel"
	"redhen/provision/qr"
)

// display is a screen and a light in memory.
type display struct {
	shown chan *image.RGBA
	lit   chan panel.Light
}

func (d *display) Size() (int, int) { return 1280, 720 }

func (d *display) Show(img *image.RGBA) error {
	d.shown <- img
	return nil
}

// lamp is the light of a display.
type lamp struct{ d *display }

func (l lamp) Show(s panel.Light) error {
	l.d.lit <- s
	return nil
}

// scan reads the code off a picture, as a phone does.
func scan(t *testing.T, img *image.RGBA) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	text, err := qr.Decode(&b)
	if err != nil {
		t.Fatalf("the code on the screen cannot be read: %v", err)
	}
	return text
}

// A fresh box shows how to open it; once it is in a circle it shows its name.
func TestTheScreenOpensTheBox(t *testing.T) {
	d := &display{make(chan *image.RGBA, 100), make(chan panel.Light, 100)}
	cfg := config(t.TempDir())
	cfg.Panel = Panel{Screen: d, Light: lamp{d}}
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	b := &box{a, end, make(chan error, 1)}
	go func() { b.ended <- a.Run(ctx) }()
	t.Cleanup(func() { b.stop(t) })
	if got, want := scan(t, <-d.shown), "http://"+b.Addr()+"/"; got != want {
		t.Errorf("the screen opens %q, want %q", got, want)
	}
	if got := <-d.lit; got != panel.Person {
		t.Errorf("a fresh box shines as %d", got)
	}
	if screen, _ := a.panelNow(ctx); screen.Code.Value != a.claimCode || screen.Code.Label != "Code of this box" || screen.Address.Label != "On your phone, at home, open" || screen.Name != "redhen" {
		t.Errorf("shows %+v", screen)
	}
	if status, _, text := b.do(t, "GET", "/claim", "", nil); status != 200 || !strings.Contains(text, "Code of the box") {
		t.Errorf("with a screen the code is not asked for: %d", status)
	}
	b.found(t)
	screen, light := a.panelNow(ctx)
	if screen.Code.Value != "" || screen.Name != "Mill Lane, hen" || !strings.HasPrefix(screen.State, "Not yet.") || light != panel.Busy {
		t.Errorf("shows %+v, light %d", screen, light)
	}
	select {
	case img := <-d.shown:
		scan(t, img)
	case <-time.After(patience):
		t.Error("the screen shows the box as it was")
	}
}

// The code is read off every size of screen that there is.
func TestTheCodeIsReadOffEveryScreen(t *testing.T) {
	const link = "http://192.168.178.141:8080/"
	code, err := qr.Draw(link)
	if err != nil {
		t.Fatal(err)
	}
	p, err := panel.NewPainter()
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []image.Point{{320, 240}, {640, 480}, {800, 480}, {1024, 600}, {1920, 1080}, {480, 800}} {
		img, err := p.Draw(panel.Screen{Name: "Mill Lane", State: "Yes. Everything is complete.", Address: panel.Labelled{Label: "Open", Value: link}, Code: panel.Labelled{Label: "Code", Value: "12345678"}, QR: code}, size.X, size.Y)
		if err != nil {
			t.Fatal(err)
		}
		if got := scan(t, img); got != link {
			t.Errorf("%v: read %q", size, got)
		}
	}
}

func TestLightAndSentence(t *testing.T) {
	claimed := api.Box{Claimed: true}
	doing := func(d firstboot.Doing) api.Box { return api.Box{Start: api.Start{Doing: d, Sentence: "so it is."}} }
	for _, c := range []struct {
		box   api.Box
		safe  status.Verdict
		light panel.Light
		text  string
	}{
		{api.Box{}, "", panel.Person, "This box belongs to nobody yet. Open its page to begin."},
		{api.Box{Start: api.Start{Problems: []string{"redhen.toml: broken"}}}, "", panel.Person, "Something on its card cannot be used: redhen.toml: broken. This box belongs to nobody yet. Open its page to begin."},
		{doing(firstboot.Looking), "", panel.Busy, "so it is."},
		{doing(firstboot.Waiting), "", panel.Person, "so it is."},
		{doing(firstboot.Refused), "", panel.Person, "so it is."},
		{api.Box{Claimed: true, Gift: true}, status.Yes, panel.Person, "This box is a present. Open its page with the code of the gift card."},
		{claimed, status.Yes, panel.Fine, "sentence"},
		{claimed, status.NotYet, panel.Busy, "sentence"},
		{claimed, status.No, panel.Trouble, "sentence"},
	} {
		text, light := panelState(nil, c.box, status.Report{Safe: c.safe, Sentence: "sentence"})
		if light != c.light || text != c.text {
			t.Errorf("%+v: light %d, %q", c.box, light, text)
		}
	}
}

func TestTheAddressThatAPhoneInTheHouseOpens(t *testing.T) {
	for _, c := range []struct{ pages, addrs, want string }{
		{"[::]:80", "127.0.0.1:1 8.8.8.8:1 [2001:db8::1]:1 192.168.1.41:1", "http://192.168.1.41/"},
		{"0.0.0.0:8080", "10.0.0.7:1", "http://10.0.0.7:8080/"},
		{"[::]:80", "[2001:db8::1]:1", "http://[2001:db8::1]/"},
		{"192.168.1.5:80", "10.0.0.7:1", "http://192.168.1.5/"},
		{"[::]:80", "127.0.0.1:1", ""},
		{"", "10.0.0.7:1", ""},
	} {
		var addrs []netip.AddrPort
		for a := range strings.FieldsSeq(c.addrs) {
			addrs = append(addrs, netip.MustParseAddrPort(a))
		}
		if got := pageAddress(c.pages, addrs); got != c.want {
			t.Errorf("%s with %s: %q, want %q", c.pages, c.addrs, got, c.want)
		}
	}
}
