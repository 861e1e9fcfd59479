<?php
// The usual PHP design as a peer: PHP-FPM and PDO with a connection that each process keeps. It answers
// `GET /api/visitors?limit=` and `POST /api/visitors` as the service does, without its promises: no key, no ETag, no deadline.
// libpq's environment says which database.

declare(strict_types=1);

function send(int $status, array $answer): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($answer, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
    exit;
}

// Parameters travel apart from the SQL and the statement is parsed at each request, all in one round trip: a statement
// that PDO prepares cannot outlive its request, so preparing it by name takes three.
$database = new PDO('pgsql:', null, null, [
    PDO::ATTR_PERSISTENT => true,
    PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
    PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_NUM,
    PDO::PGSQL_ATTR_DISABLE_PREPARES => true,
]);

function visitor(array $row): array
{
    return ['id' => $row[0], 'name' => $row[1], 'created_at' => $row[2]];
}

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $asked = json_decode(file_get_contents('php://input'), true);
    if (!is_array($asked)) {
        send(400, []);
    }
    $name = $asked['name'] ?? null;
    if (!is_string($name) || preg_match('/^.{1,50}$/us', $name) !== 1) {
        send(422, []);
    }
    $statement = $database->prepare(<<<'SQL'
        INSERT INTO visitors (name) VALUES (?)
        RETURNING id, name, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        SQL);
    $statement->execute([$name]);
    send(201, visitor($statement->fetch()));
}

$limit = (int) ($_GET['limit'] ?? 20);
if ($limit < 1 || $limit > 100) {
    send(400, []);
}
$statement = $database->prepare(<<<'SQL'
    SELECT id, name, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           (SELECT total FROM visitor_total)
    FROM visitors ORDER BY id DESC LIMIT ?
    SQL);
$statement->execute([$limit + 1]);
$rows = $statement->fetchAll();
$shown = array_slice($rows, 0, $limit);
send(200, [
    'visitors' => array_map('visitor', $shown),
    'total' => $rows[0][3] ?? 0,
    'next' => count($rows) > $limit ? "/api/visitors?limit=$limit&before=" . end($shown)[0] : null,
]);
