package seed

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// source is one file that a card may carry.
type source struct {
	name string
	read func([]byte, *problems) Seed
	once bool // a request, not a setting: the file is removed when it was taken over
}

// sources lists the files from the weakest to the strongest: what a later one says
// holds. Ours stand above Imager's, which stand in the order of their age, and
// what repairs a box later stands above what founded it.
func sources() []source {
	return []source{
		{name: "firstrun.sh", read: readFirstRun},
		{name: "meta-data", read: readMetaData},
		{name: "user-data", read: readUserData},
		{name: "network-config", read: readNetworkConfig},
		{name: "rpi-preseed.toml", read: readPreseed},
		{name: redhenFile, read: func(b []byte, p *problems) Seed { return readRecord(b, p).Seed }},
		{name: wifiFile, read: readWifiText},
		{name: resetFile, read: readResetText, once: true},
	}
}

// ParseFirstRun reads the settings in a firstrun.sh as Raspberry Pi Imager 1.x writes
// it. The script is never run.
func ParseFirstRun(content []byte) (Seed, []Problem) {
	return parse("firstrun.sh", content, readFirstRun)
}

// ParseMetaData reads cloud-init's meta-data.
func ParseMetaData(content []byte) (Seed, []Problem) {
	return parse("meta-data", content, readMetaData)
}

// ParseUserData reads cloud-init's user-data as Imager writes it. Of a cloud-config it
// understands host name, first user and time zone, and ignores the rest.
func ParseUserData(content []byte) (Seed, []Problem) {
	return parse("user-data", content, readUserData)
}

// ParseNetworkConfig reads the Wi-Fi networks of cloud-init's network-config,
// version 2.
func ParseNetworkConfig(content []byte) (Seed, []Problem) {
	return parse("network-config", content, readNetworkConfig)
}

// ParsePreseed reads the rpi-preseed.toml of Imager 2.0.11 and later.
func ParsePreseed(content []byte) (Seed, []Problem) {
	return parse("rpi-preseed.toml", content, readPreseed)
}

// ParseWifiText reads a redhen-wifi.txt, written by hand.
func ParseWifiText(content []byte) (Seed, []Problem) {
	return parse(wifiFile, content, readWifiText)
}

// ParseResetText reads a redhen-reset.txt. That it is there is the request; it may be empty.
func ParseResetText(content []byte) (Seed, []Problem) {
	return parse(resetFile, content, readResetText)
}

func parse(file string, content []byte, read func([]byte, *problems) Seed) (Seed, []Problem) {
	p := &problems{file: file}
	text, ok := plain(content, p)
	if !ok {
		return Seed{}, p.list
	}
	s := read(text, p)
	return s, p.list
}

// plain turns what an editor made of a text back into plain UTF-8 with \n. Notepad
// writes a byte order mark, or UTF-16.
func plain(b []byte, p *problems) ([]byte, bool) {
	if len(b) > MaxFile {
		p.broken(Problem{Code: TooLarge, N: MaxFile >> 10})
		return nil, false
	}
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		b = b[3:]
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		b = fromUTF16(b[2:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		b = fromUTF16(b[2:], binary.BigEndian)
	}
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.TrimRight(b, "\x00") // what a power cut leaves at the end of a file
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		p.broken(Problem{Code: NotText})
		return nil, false
	}
	return b, true
}

func fromUTF16(b []byte, order binary.ByteOrder) []byte {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = order.Uint16(b[2*i:])
	}
	return []byte(string(utf16.Decode(u)))
}
