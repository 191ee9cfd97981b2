package qr

// penalty scores what makes a code hard to read (ISO/IEC 18004, 7.8.3): long
// runs, blocks of one colour, false finder patterns, more of one colour.
func (c Code) penalty() int {
	n := c.imbalance()
	for i := range c.size {
		n += linePenalty(c.size, func(j int) bool { return c.Black(j, i) })
		n += linePenalty(c.size, func(j int) bool { return c.Black(i, j) })
	}
	for y := range c.size - 1 {
		for x := range c.size - 1 {
			b := c.Black(x, y)
			if b == c.Black(x+1, y) && b == c.Black(x, y+1) && b == c.Black(x+1, y+1) {
				n += 3
			}
		}
	}
	return n
}

// linePenalty scores one row or column: 3 for a run of five and 1 for each
// module more, 40 for 1:1:3:1:1 with four white modules on a side.
func linePenalty(size int, black func(int) bool) int {
	const before, after = 0b00001011101, 0b10111010000
	n, run, window := 0, 0, 0
	for i := range size {
		if i > 0 && black(i) == black(i-1) {
			run++
		} else {
			run = 1
		}
		if run == 5 {
			n += 3
		} else if run > 5 {
			n++
		}
		window = window << 1 & 0x7ff
		if black(i) {
			window |= 1
		}
		if i >= 10 && (window == before || window == after) {
			n += 40
		}
	}
	return n
}

// imbalance scores 10 for each 5 % that black is away from half.
func (c Code) imbalance() int {
	black := 0
	for _, b := range c.black {
		if b {
			black++
		}
	}
	total := len(c.black)
	return 10 * (abs(20*black-10*total) / total)
}

func abs(n int) int { return max(n, -n) }
