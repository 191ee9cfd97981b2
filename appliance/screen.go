package appliance

import (
	"context"
	"image"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/firstboot"
	"redhen/appliance/status"
	"redhen/appliance/words"
	"redhen/board/panel"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/qr"
)

// Panel is what a box shows without a browser. Either may be nil.
type Panel struct {
	Screen Display
	Light  Lamp
}

// Display is a screen; *panel.Frame is one.
type Display interface {
	Size() (width, height int)
	Show(*image.RGBA) error
}

// Lamp is a light; *panel.Lamp is one.
type Lamp interface{ Show(panel.Light) error }

var (
	_ Display = (*panel.Frame)(nil)
	_ Lamp    = (*panel.Lamp)(nil)
)

// lookAgain is how often the panel looks for what no channel tells: the report.
const lookAgain = 10 * time.Second

// showPanel keeps screen and light up to date until ctx ends. A screen that fails is
// looked at again later: a box without its screen is still a box.
func (a *Appliance) showPanel(ctx context.Context) error {
	p := a.cfg.Panel
	if p.Screen == nil && p.Light == nil {
		return nil
	}
	painter, err := panel.NewPainter()
	if err != nil {
		return err
	}
	var last panel.Screen
	lit := panel.Unlit
	for tick := time.NewTicker(lookAgain); ; {
		news, change := a.node.News(), a.start.Changed()
		screen, light := a.panelNow(ctx)
		if p.Screen != nil && !reflect.DeepEqual(screen, last) {
			w, h := p.Screen.Size()
			img, err := painter.Draw(screen, w, h)
			if err == nil {
				err = p.Screen.Show(img)
			}
			if last = screen; err != nil {
				last = panel.Screen{}
				a.log.Warn("screen", "err", err)
			}
		}
		if p.Light != nil && light != lit {
			if lit = light; p.Light.Show(light) != nil {
				p.Light = nil // it will not be better the next time
			}
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return nil
		case <-news:
		case <-change:
		case <-tick.C:
		}
	}
}

// panelNow is what screen and light show now.
func (a *Appliance) panelNow(ctx context.Context) (panel.Screen, panel.Light) {
	box := a.About()
	var report status.Report
	if box.Claimed {
		report, _ = a.watch.Report(ctx) // without one there is no sentence
	}
	link := pageAddress(box.Pages, a.host.Addrs())
	w := words.English() // nobody tells a screen which language it is read in
	s := panel.Screen{
		Name: w.Say("brand"), Address: panel.Labelled{Label: w.Say("screen.open"), Value: link}, Code: panel.Labelled{Label: w.Say("screen.code"), Value: box.ClaimCode},
	}
	if box.Name != "" {
		s.Name = box.House
		if box.Name != box.House {
			s.Name += ", " + box.Name
		}
	}
	var light panel.Light
	s.State, light = panelState(w, box, report)
	for _, w := range box.Start.Words {
		s.Words = append(s.Words, w.Text)
	}
	if link != "" {
		if code, err := qr.Draw(link); err == nil {
			s.QR = code
		}
	}
	if a.air != nil {
		a.air.onScreen(w, &s)
	}
	return s, light
}

// panelState says how the box is, in a sentence and by the light.
func panelState(w *words.Words, b api.Box, r status.Report) (string, panel.Light) {
	switch {
	case b.Start.Doing == firstboot.Looking, b.Start.Doing == firstboot.Entering, b.Start.Doing == firstboot.Founding, b.Start.Doing == firstboot.Resetting:
		return b.Start.Sentence, panel.Busy
	case b.Start.Doing != firstboot.Nothing:
		return b.Start.Sentence, panel.Person
	case !b.Claimed:
		text := w.Say("screen.nobody")
		if len(b.Start.Problems) > 0 {
			text = w.Say("screen.card", "problem", words.Ended(b.Start.Problems[0])) + " " + text
		}
		return text, panel.Person
	case b.Gift:
		return w.Say("screen.gift"), panel.Person
	}
	switch r.Safe {
	case status.Yes:
		return r.Sentence, panel.Fine
	case status.No:
		return r.Sentence, panel.Trouble
	}
	return r.Sentence, panel.Busy
}

// pageAddress is the link to the pages that a phone in the house can open: at the
// address that the box has there; empty when there is none.
func pageAddress(pages string, addrs []netip.AddrPort) string {
	host, port, err := net.SplitHostPort(pages)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = ""
		for _, a := range addrs {
			own := a.Addr().Unmap()
			if near := own.IsPrivate() || !netaddr.IsPublic(own); near && own.Is4() && !own.IsLoopback() {
				host = own.String()
				break
			}
			if host == "" && !own.IsLoopback() {
				host = own.String() // public, or IPv6: better than nothing
			}
		}
	}
	switch {
	case host == "":
		return ""
	case port != "80":
		return "http://" + net.JoinHostPort(host, port) + "/"
	case strings.Contains(host, ":"):
		return "http://[" + host + "]/"
	}
	return "http://" + host + "/"
}
