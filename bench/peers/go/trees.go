/* trees.go - forking: a goroutine for each fork, its result comes through a channel. */
package main

import "time"

const (
	skyChildren = 10
	queensMax   = 12
)

func fib(n int) uint64 {
	if n < 2 {
		return uint64(n)
	}
	result := make(chan uint64, 1)
	go func() { result <- fib(n - 1) }()
	b := fib(n - 2)
	return <-result + b
}

func fibSerial(n int) uint64 {
	if n < 2 {
		return uint64(n)
	}
	return fibSerial(n-1) + fibSerial(n-2)
}

func forkjoin() []float64 {
	n := size(27, 22)
	fib(15)
	begun := time.Now()
	result := fib(n)
	ns := since(begun, float64(fibSerial(n+1)-1))
	expect(result, fibSerial(n), "fib")
	return []float64{ns}
}

func sky(number, leaves uint64) uint64 {
	if leaves == 1 {
		return number
	}
	var results [skyChildren]chan uint64
	for i := range results {
		result := make(chan uint64, 1)
		child := number + uint64(i)*(leaves/skyChildren)
		go func() { result <- sky(child, leaves/skyChildren) }()
		results[i] = result
	}
	var sum uint64
	for _, result := range results {
		sum += <-result
	}
	return sum
}

func skynet() []float64 {
	leaves, tasks := uint64(size(100000, 10000)), 0.0
	for n := leaves; n > 1; n /= skyChildren {
		tasks += float64(n)
	}
	sky(0, 1000)
	begun := time.Now()
	sum := sky(0, leaves)
	ns := since(begun, tasks)
	expect(sum, leaves*(leaves-1)/2, "skynet")
	return []float64{ns}
}

// Queens on a board, as in work.h: each node looks at the whole board, and has a task for each place in the next row.
type queens struct {
	n, row int
	column [queensMax]int8
}

func (q *queens) safe() bool {
	for i := 0; i < q.row; i++ {
		for j := i + 1; j < q.row; j++ {
			distance := int(q.column[j]) - int(q.column[i])
			if distance == 0 || distance == j-i || distance == i-j {
				return false
			}
		}
	}
	return true
}

func (q *queens) search() uint64 {
	if q.row == q.n {
		return 1
	}
	var results [queensMax]chan uint64
	n := 0
	for column := 0; column < q.n; column++ {
		next := *q
		next.column[next.row] = int8(column)
		next.row++
		if !next.safe() {
			continue
		}
		result := make(chan uint64, 1)
		go func() { result <- next.search() }()
		results[n] = result
		n++
	}
	var solutions uint64
	for _, result := range results[:n] {
		solutions += <-result
	}
	return solutions
}

func nqueens() []float64 {
	const n, tasks, ways = 10, 35538, 724
	(&queens{n: 6}).search()
	begun := time.Now()
	solutions := (&queens{n: n}).search()
	ns := since(begun, tasks)
	expect(solutions, ways, "nqueens")
	return []float64{ns}
}
