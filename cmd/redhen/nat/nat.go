// Package nat is an internet of network namespaces for tests of real boxes behind the
// kernel's own NAT: a host that anybody can call, homes behind routers, and between
// them a process that delays every packet, since the kernel's own delay (netem) is
// not everywhere. It needs root, ip and nft of Debian's packages, and /dev/net/tun.
package nat

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Lab is the internet and what is on it. Namespaces bear the name of the lab.
type Lab struct {
	name  string
	homes int
	made  []string // namespaces, in order
}

// Home is a router, and one box behind it.
type Home struct {
	Router, Box string // namespaces
	lab         *Lab
	n           int
	move        int
}

// New makes the internet, without any host on it. Close removes it, also when New
// failed: then the error says what this machine lacks.
func New(name string) (*Lab, error) {
	l := &Lab{name: name}
	return l, l.all(
		"ip netns add @net",
		"ip -n @net link set lo up",
		"ip netns exec @net sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0",
	)
}

// Close removes the namespaces, and with them all that is in them.
func (l *Lab) Close() {
	for _, ns := range l.made {
		l.do("ip netns del " + ns) // best effort: what is left says so to the next run
	}
}

// Net is the namespace in the middle.
func (l *Lab) Net() string { return l.name + "net" }

// all runs commands until one fails; @ stands for the name of the lab.
func (l *Lab) all(commands ...string) error {
	for _, c := range commands {
		if err := l.do(strings.ReplaceAll(c, "@", l.name)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) do(command string) error {
	args := strings.Fields(command)
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, strings.TrimSpace(string(out)))
	}
	if len(args) > 3 && args[1] == "netns" && args[2] == "add" {
		l.made = append(l.made, args[3])
	}
	return nil
}

// Host adds a host with an address of its own, 8.1.0.2, and returns its namespace.
func (l *Lab) Host() (string, error) {
	return l.name + "host", l.all(
		"ip netns add @host",
		"ip link add @h0 netns @net type veth peer name eth0 netns @host",
		"ip -n @net addr add 8.1.0.1/24 dev @h0",
		"ip -n @net link set @h0 up",
		"ip -n @host addr add 8.1.0.2/24 dev eth0",
		"ip -n @host link set lo up",
		"ip -n @host link set eth0 up",
		"ip -n @host route add default via 8.1.0.1",
		"ip -n @net rule add iif @h0 lookup 100",
	)
}

// Home adds a home. Its router masquerades: like most homes', or with a fresh random
// port for each connection.
func (l *Lab) Home(random bool) (*Home, error) {
	l.homes++
	h := &Home{lab: l, n: l.homes, Router: fmt.Sprintf("%sr%d", l.name, l.homes), Box: fmt.Sprintf("%sb%d", l.name, l.homes)}
	masquerade := "masquerade"
	if random {
		masquerade += " random"
	}
	link := fmt.Sprintf("%sw%d", l.name, h.n)
	err := l.all(
		"ip netns add "+h.Router,
		"ip netns add "+h.Box,
		"ip link add "+link+" netns @net type veth peer name wan netns "+h.Router,
		"ip link add lan netns "+h.Router+" type veth peer name eth0 netns "+h.Box,
		fmt.Sprintf("ip -n @net addr add 8.1.%d.1/24 dev %s", h.n, link),
		"ip -n @net link set "+link+" up",
		"ip -n @net rule add iif "+link+" lookup 100",
		"ip -n "+h.Router+" link set lo up",
		"ip -n "+h.Router+" link set wan up",
		"ip -n "+h.Router+" link set lan up",
		"ip -n "+h.Router+" addr add 192.168.1.1/24 dev lan",
		"ip netns exec "+h.Router+" sysctl -qw net.ipv4.ip_forward=1",
		"ip -n "+h.Box+" link set lo up",
		"ip -n "+h.Box+" link set eth0 up",
		"ip -n "+h.Box+" addr add 192.168.1.2/24 dev eth0",
		"ip -n "+h.Box+" route add default via 192.168.1.1",
		"ip netns exec "+h.Router+" nft add table ip nat",
		"ip netns exec "+h.Router+" nft add chain ip nat post { type nat hook postrouting priority 100 ; }",
		"ip netns exec "+h.Router+" nft add rule ip nat post oifname wan "+masquerade,
		"ip netns exec "+h.Router+" nft add table ip guard",
		"ip netns exec "+h.Router+" nft add chain ip guard pass { type filter hook forward priority 0 ; policy drop ; }",
		"ip netns exec "+h.Router+" nft add rule ip guard pass iifname lan accept",
		"ip netns exec "+h.Router+" nft add rule ip guard pass ct state established,related accept",
		// What comes unasked ends at the router without a trace, as in every home: let in, it
		// would take the port that a punch needs, and no answer to it may refuse the punch.
		"ip netns exec "+h.Router+" nft add chain ip guard self { type filter hook input priority 0 ; policy accept ; }",
		"ip netns exec "+h.Router+" nft add rule ip guard self iifname wan ct state new drop",
	)
	if err != nil {
		return h, err
	}
	return h, h.address(2)
}

// Move gives the home another public address, as a nightly reconnect does; the router
// forgets all that it had mapped.
func (h *Home) Move() error {
	h.move++
	old := fmt.Sprintf("8.1.%d.%d/24", h.n, 1+h.move)
	if err := h.lab.all("ip -n " + h.Router + " addr del " + old + " dev wan"); err != nil {
		return err
	}
	return h.address(2 + h.move)
}

func (h *Home) address(last int) error {
	return h.lab.all(
		fmt.Sprintf("ip -n %s addr add 8.1.%d.%d/24 dev wan", h.Router, h.n, last),
		fmt.Sprintf("ip -n %s route replace default via 8.1.%d.1", h.Router, h.n),
	)
}

// BlockUDP has the router of the home let no UDP pass.
func (h *Home) BlockUDP() error {
	return h.lab.all("ip netns exec " + h.Router + " nft insert rule ip guard pass meta l4proto udp drop")
}

// Route has what enters the middle pass the device of Delay first.
func (l *Lab) Route(device string) error {
	return l.all(
		"ip -n @net link set "+device+" up",
		"ip -n @net route add default dev "+device+" table 100",
	)
}

// Delay passes every packet on after a while, through a new device of that name in the
// network namespace of this process, until it fails. ready is called once the device is there.
func Delay(device string, d time.Duration, ready func()) error {
	fd, err := openTun(device)
	if err != nil {
		return fmt.Errorf("delay: %w", err)
	}
	defer syscall.Close(fd)
	ready()
	var mu sync.Mutex // a packet is one write
	buf := make([]byte, 64<<10)
	for {
		n, err := syscall.Read(fd, buf)
		if err != nil {
			if err == syscall.EINTR {
				continue
			}
			return fmt.Errorf("delay: %w", err)
		}
		packet := append([]byte(nil), buf[:n]...)
		time.AfterFunc(d, func() {
			mu.Lock()
			defer mu.Unlock()
			syscall.Write(fd, packet) // what does not fit is lost, as on any line
		})
	}
}

// openTun makes a device whose packets this process reads and writes (Linux, if_tun.h).
func openTun(name string) (int, error) {
	const (
		setIff = 0x400454ca // TUNSETIFF
		flags  = 0x1001     // IFF_TUN, IFF_NO_PI
	)
	fd, err := syscall.Open("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	var req struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:syscall.IFNAMSIZ-1], name)
	req.flags = flags
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), setIff, uintptr(unsafe.Pointer(&req))); e != 0 {
		syscall.Close(fd)
		return 0, e
	}
	return fd, nil
}
