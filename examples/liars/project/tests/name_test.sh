check "Hello, Ada!" greet Ada
check "Hello, Ada Lovelace!" greet "Ada Lovelace"
