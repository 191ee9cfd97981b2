package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	nl80211 "github.com/mdlayher/wifi"

	"redhen/board/child"
	"redhen/board/wifi"
	"redhen/board/wifi/setup"
	"redhen/images/wifilab"
)

// street is what is around the box.
type street struct {
	networks map[int]func() // by radio: closes it
	phone    *child.Child
	browser  *http.Client
	names    *net.Resolver // of the phone
}

func newStreet() *street {
	if b, err := net.InterfaceByName("lo"); err == nil {
		wifi.SetAddress(b.Name, "127.0.0.1/8")
	}
	jar, _ := cookiejar.New(nil) // never fails
	s := &street{networks: map[int]func(){}}
	s.names = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", setup.Address+":53")
	}}
	s.browser = &http.Client{
		Jar: jar, Timeout: 30 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Resolver: s.names, Timeout: 10 * time.Second}).DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	return s
}

// do carries out one order.
func (s *street) do(o wifilab.Order) (a wifilab.Answer) {
	var err error
	switch o.Do {
	case "open":
		err = s.open(o)
	case "close":
		if end := s.networks[o.Radio]; end != nil {
			end()
			delete(s.networks, o.Radio)
		}
	case "scan":
		a.Names, err = s.scan()
	case "join":
		a.Text, err = s.join(o)
	case "leave":
		s.leave()
	case "lookup":
		a.Names, err = s.names.LookupHost(context.Background(), o.URL)
	case "get", "post":
		err = s.ask(o, &a)
	case "kill":
		err = kill(o.URL)
	case "read":
		var b []byte
		b, err = os.ReadFile("/proc/1/root" + o.URL)
		a.Text = string(b)
	case "log":
		err = boxLog(o.URL, &a)
	default:
		err = fmt.Errorf("no such order: %s", o.Do)
	}
	if err != nil {
		a.Err = err.Error()
	}
	return a
}

// open opens a network on a radio, with addresses 10.0.RADIO.x.
func (s *street) open(o wifilab.Order) error {
	iface := fmt.Sprint("wlan", o.Radio)
	conf := fmt.Sprintf("/run/ap%d.conf", o.Radio)
	text := fmt.Sprintf("interface=%s\ndriver=nl80211\nssid=%s\nhw_mode=g\nchannel=%d\n%s\n", iface, o.SSID, []int{1, 6, 11, 1, 6}[o.Radio], o.Lines)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	c, err := child.Start(nil, "/usr/sbin/hostapd", conf)
	if err != nil {
		return err
	}
	if err := s.await(o.Radio, nl80211.InterfaceTypeAP); err != nil {
		c.Stop()
		return err
	}
	box := netip.AddrFrom4([4]byte{10, 0, byte(o.Radio), 1})
	if err := wifi.SetAddress(iface, box.String()+"/24"); err != nil {
		c.Stop()
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- setup.ServeAddresses(ctx, iface, box) }()
	s.networks[o.Radio] = func() {
		end()
		<-served
		c.Stop()
		wifi.ClearAddresses(iface)
	}
	return nil
}

// radio returns an interface of the street.
func (s *street) radio(n int) (*nl80211.Interface, error) {
	c, err := nl80211.New()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	all, err := c.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if i.Name == fmt.Sprint("wlan", n) {
			return i, nil
		}
	}
	return nil, fmt.Errorf("no radio %d", n)
}

// await waits until a radio is of a kind and on a channel.
func (s *street) await(n int, kind nl80211.InterfaceType) error {
	for range 200 {
		if i, err := s.radio(n); err == nil && i.Type == kind && i.Frequency > 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("radio %d is not open", n)
}

// scan names what the phone sees.
func (s *street) scan() (names []string, err error) {
	r, _, err := wifi.OpenRadio(wifi.Helper{}, nil) // the first of the street; any sees the same
	if err != nil {
		return nil, err
	}
	seen, err := r.Scan(context.Background())
	for _, n := range seen {
		names = append(names, n.SSID)
	}
	return names, err
}

// join has the phone join a network, and returns its address there.
func (s *street) join(o wifilab.Order) (string, error) {
	s.leave()
	iface := fmt.Sprint("wlan", wifilab.Phone)
	text := fmt.Sprintf("network={\n\tssid=\"%s\"\n\t%s\n}\n", o.SSID, o.Lines)
	if err := os.WriteFile("/run/phone.conf", []byte(text), 0o600); err != nil {
		return "", err
	}
	var err error
	if s.phone, err = child.Start(nil, "/usr/sbin/wpa_supplicant", "-Dnl80211", "-i"+iface, "-c/run/phone.conf"); err != nil {
		return "", err
	}
	for range 8 { // a join under emulation takes its time
		var ip string
		if ip, err = lease(iface); err == nil {
			return ip, nil
		}
		time.Sleep(2 * time.Second)
	}
	return "", err
}

// lease asks for an address and takes it.
func lease(iface string) (string, error) {
	c, err := nclient4.New(iface, nclient4.WithTimeout(3*time.Second), nclient4.WithRetry(2))
	if err != nil {
		return "", err
	}
	defer c.Close()
	ctx, end := context.WithTimeout(context.Background(), 15*time.Second)
	defer end()
	l, err := c.Request(ctx, dhcpv4.WithRequestedOptions(dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer))
	if err != nil {
		return "", err
	}
	if len(l.ACK.DNS()) == 0 || len(l.ACK.Router()) == 0 {
		return "", errors.New("no router and name server were told")
	}
	return l.ACK.YourIPAddr.String(), wifi.SetAddress(iface, l.ACK.YourIPAddr.String()+"/24")
}

func (s *street) leave() {
	if s.phone != nil {
		s.phone.Stop()
		s.phone = nil
	}
	wifi.ClearAddresses(fmt.Sprint("wlan", wifilab.Phone))
}

// ask is a browser's request.
func (s *street) ask(o wifilab.Order, a *wifilab.Answer) error {
	method, body := http.MethodGet, io.Reader(nil)
	if o.Do == "post" {
		form := url.Values{}
		for k, v := range o.Form {
			form.Set(k, v)
		}
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, o.URL, body)
	if err != nil {
		return err
	}
	if o.Do == "post" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "http://"+req.URL.Host)
	}
	return answer(s.browser, req, a)
}

func answer(c *http.Client, req *http.Request, a *wifilab.Answer) error {
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 256<<10))
	a.Code, a.Location, a.Text = resp.StatusCode, resp.Header.Get("Location"), string(b)
	return err
}

// kill kills a program of the box by its name, as if it had crashed.
func kill(name string) error {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	killed := 0
	for _, dir := range all {
		comm, _ := os.ReadFile(dir + "/comm") // it may have ended
		if ns, _ := os.Readlink(dir + "/ns/net"); strings.TrimSpace(string(comm)) != name || ns == own {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return err
		}
		killed++
	}
	if killed == 0 {
		return fmt.Errorf("no %s runs at the box", name)
	}
	return nil
}

// boxLog is gokrazy's page about a program of the box, which only root of the box reaches.
func boxLog(program string, a *wifilab.Answer) error {
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", "/proc/1/root/run/gokrazy-http.sock")
	}}}
	req, err := http.NewRequest(http.MethodGet, "http://box/status?path="+url.QueryEscape(program), nil)
	if err != nil {
		return err
	}
	return answer(c, req, a)
}
